// Reads `events.jsonl` fast: a report of ten thousand events must not wait for the general JSON decoder.
// Lines this reader does not understand go to that decoder, so what is read is the same.

import Foundation
import Runs

/// Reads event logs.
public enum EventReader {
    /// The events of the lines. A half-written last line, as a killed process leaves it, is passed over; another line
    /// that is no event is an error that names the file and the line.
    public static func read(_ data: Data, file: String = "events.jsonl") throws -> [TrainingEvent] {
        let bytes = [UInt8](data)
        var events: [TrainingEvent] = []
        var (start, number) = (0, 0)
        while start < bytes.count {
            let end = bytes[start...].firstIndex(of: 10) ?? bytes.count
            number += 1
            let line = bytes[start..<end]
            if line.contains(where: { $0 != 32 && $0 != 13 && $0 != 9 }) {
                do {
                    events.append(try event(line))
                } catch {
                    guard end == bytes.count else { throw ReportError.badEvent(file: file, line: number) }
                }
            }
            start = end + 1
        }
        return events
    }

    private static func event(_ line: ArraySlice<UInt8>) throws -> TrainingEvent {
        if let event = EventLine(line).event { return event }
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(TrainingEvent.self, from: Data(line))
    }
}

/// One line: a flat object of numbers and strings without escapes other than the one-letter ones.
private struct EventLine {
    private let bytes: ArraySlice<UInt8>
    private var place: Int

    init(_ bytes: ArraySlice<UInt8>) { (self.bytes, place) = (bytes, bytes.startIndex) }

    /// Absent where the line is anything but that.
    var event: TrainingEvent? {
        var line = self
        return line.parse()
    }

    private mutating func parse() -> TrainingEvent? {
        guard take("{") else { return nil }
        var event = TrainingEvent(.start, step: 0, epoch: 0, time: 0)
        var required = 0
        repeat {
            guard let key = string(), take(":") else { return nil }
            switch key {
            case "type", "step", "epoch", "time":
                guard setRequired(key, &event) else { return nil }
                required += 1
            case "path", "prompt", "text", "name", "message":
                guard let text = string() else { return nil }
                Self.set(key, text, &event)
            default:
                guard let value = number(), Self.set(key, value, &event) else { return nil }
            }
        } while take(",")
        guard take("}"), place == bytes.endIndex, required == 4 else { return nil }
        return event
    }

    private mutating func setRequired(_ key: String, _ event: inout TrainingEvent) -> Bool {
        if key == "type" {
            guard let kind = string().flatMap(TrainingEvent.Kind.init) else { return false }
            event.type = kind
            return true
        }
        guard let value = number() else { return false }
        switch key {
        case "epoch": event.epoch = value
        case "time": event.time = value
        default:
            guard let step = Int(exactly: value) else { return false }
            event.step = step
        }
        return true
    }

    private static func set(_ key: String, _ text: String, _ event: inout TrainingEvent) {
        switch key {
        case "path": event.path = text
        case "prompt": event.prompt = text
        case "text": event.text = text
        case "name": event.name = text
        default: event.message = text
        }
    }

    private static func set(_ key: String, _ value: Double, _ event: inout TrainingEvent) -> Bool {
        switch key {
        case "loss": event.loss = value
        case "learning_rate": event.learningRate = value
        case "gradient_norm": event.gradientNorm = value
        case "tokens_per_second": event.tokensPerSecond = value
        case "images_per_second": event.imagesPerSecond = value
        case "step_seconds": event.stepSeconds = value
        case "memory_mib": event.memoryMib = value
        default: return false
        }
        return true
    }

    private mutating func take(_ mark: Unicode.Scalar) -> Bool {
        skipSpace()
        guard place < bytes.endIndex, bytes[place] == UInt8(ascii: mark) else { return false }
        place += 1
        skipSpace()
        return true
    }

    private mutating func skipSpace() {
        while place < bytes.endIndex, bytes[place] == 32 || bytes[place] == 9 || bytes[place] == 13 { place += 1 }
    }

    private mutating func string() -> String? {
        guard place < bytes.endIndex, bytes[place] == UInt8(ascii: "\"") else { return nil }
        let start = place + 1
        guard var end = bytes[start...].firstIndex(where: { $0 == 34 || $0 == 92 || $0 < 32 }) else { return nil }
        if bytes[end] == 34 {
            place = end + 1
            return String(validating: bytes[start..<end], as: UTF8.self)
        }
        var text = Array(bytes[start..<end])
        while end < bytes.endIndex, bytes[end] != 34 {
            guard bytes[end] >= 32 else { return nil }
            if bytes[end] == 92 {
                end += 1
                guard end < bytes.endIndex, let plain = Self.escapes[bytes[end]] else { return nil }
                text.append(plain)
            } else {
                text.append(bytes[end])
            }
            end += 1
        }
        guard end < bytes.endIndex else { return nil }
        place = end + 1
        return String(validating: text, as: UTF8.self)
    }

    private mutating func number() -> Double? {
        let start = place
        while place < bytes.endIndex, Self.isNumeral(bytes[place]) { place += 1 }
        guard start < place, bytes[start] == 45 || (48...57).contains(bytes[start]) else { return nil }
        guard let value = Double(String(decoding: bytes[start..<place], as: UTF8.self)), value.isFinite else {
            return nil
        }
        return value
    }

    /// Digits, signs, point, exponent.
    private static func isNumeral(_ byte: UInt8) -> Bool {
        (48...57).contains(byte) || byte == 45 || byte == 43 || byte == 46 || byte == 101 || byte == 69
    }

    /// `\"`, `\\`, `\/`, `\n`, `\r`, `\t`, `\b`, `\f`.
    private static let escapes: [UInt8: UInt8] = [34: 34, 92: 92, 47: 47, 110: 10, 114: 13, 116: 9, 98: 8, 102: 12]
}
