// `events.jsonl`: what happened in a run, one JSON object a line, in the order in which it happened.

import Formats
import Foundation

/// The events of a run, appended one by one.
public final class EventLog {
    private let url: URL
    private var file: AppendedFile
    private let encoder = EventCoding.encoder

    /// Opens or creates the log; a last line that was never finished is cut off.
    public init(_ url: URL) throws {
        self.url = url
        file = try AppendedFile(url)
    }

    /// Adds an event; when this returns, the event outlives the process, and from a checkpoint on the machine too.
    public func append(_ event: TrainingEvent) throws {
        try file.append(encoder.encode(event))
        if event.type == .checkpoint || event.type == .finish { file.flush() }
    }

    /// Takes back everything after step `step`, and that step's samples, which follow its checkpoint: a run that goes
    /// on from there will say it again.
    public func truncate(afterStep step: Int) throws {
        let data = try Self.contents(of: url)
        let kept = try Self.scan(data, of: url).filter { line in
            line.event.step < step || (line.event.step == step && (line.event.type != .sample || step == 0))
        }
        let text = kept.reduce(into: Data()) { $0 += data[$1.bytes] }
        try AtomicFile.write(text, to: url)
        file = try AppendedFile(url)
    }

    /// The events of a log; none where there is no log. A last line that was never finished is passed over.
    public static func read(_ url: URL) throws -> [TrainingEvent] {
        try scan(contents(of: url), of: url).map(\.event)
    }

    private typealias Line = (event: TrainingEvent, bytes: Range<Int>)

    private static func contents(of url: URL) throws -> Data {
        guard FileManager.default.fileExists(atPath: url.path) else { return Data() }
        guard let data = FileManager.default.contents(atPath: url.path) else {
            throw FormatsError.system(path: url.relativePath, action: "read", code: EACCES)
        }
        return data
    }

    /// Every whole line's event and place.
    private static func scan(_ data: Data, of url: URL) throws -> [Line] {
        try data.withUnsafeBytes { bytes in
            var (lines, start, number) = ([Line](), 0, 0)
            while let end = bytes[start...].firstIndex(of: 10) {
                let line = bytes[start..<end]
                number += 1
                if !line.isEmpty {
                    let event = try EventParser.event(line) ?? EventCoding.decode(Data(line), line: number, of: url)
                    lines.append((event, start..<(end + 1)))
                }
                start = end + 1
            }
            return lines
        }
    }
}

/// How events and facts are spelt in JSON.
enum EventCoding {
    /// One line, keys sorted; numbers that JSON lacks are texts.
    static var encoder: JSONEncoder {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        return encoder
    }

    static var decoder: JSONDecoder {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        decoder.nonConformingFloatDecodingStrategy = .convertFromString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        return decoder
    }

    static func decode(_ bytes: Data, line: Int, of url: URL) throws -> TrainingEvent {
        do {
            return try decoder.decode(TrainingEvent.self, from: bytes)
        } catch {
            throw RunError.damaged(
                path: "\(url.relativePath):\(line)", problem: "not an event (\(reason(error)))",
                remedy: "remove this line; the others are read without it")
        }
    }

    /// What a decoder complains of, on one line.
    static func reason(_ error: any Error) -> String {
        switch error {
        case DecodingError.keyNotFound(let key, _): "'\(key.stringValue)' is missing"
        case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context):
            "'\(context.codingPath.map(\.stringValue).joined(separator: "."))' has the wrong type"
        case DecodingError.dataCorrupted(let context) where !context.codingPath.isEmpty:
            "'\(context.codingPath.map(\.stringValue).joined(separator: "."))' has an unknown value"
        default: "not valid JSON"
        }
    }
}
