// The fast reader reads what the JSON decoder reads.

import Foundation
import Testing

@testable import Reports
@testable import Runs

@Suite("Reading events.jsonl")
struct EventReaderTests {
    private func lines(_ events: [TrainingEvent]) throws -> Data {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        return try events.reduce(Data()) { try $0 + encoder.encode($1) + Data("\n".utf8) }
    }

    @Test("gives back the events that were written")
    func roundTrip() throws {
        var odd = SampleRun.sample(3, "base \"x\" \\ / \u{1}", "a\u{8}\t\r\n\u{c}é漢😀", "\u{7f}")
        odd.imagesPerSecond = -1.5e-7
        let events = SampleRun.finished + [odd]
        #expect(try EventReader.read(lines(events)) == events)
    }

    @Test("passes over a half-written last line, wherever it was cut")
    func cut() throws {
        let whole = try lines([SampleRun.step(1), SampleRun.step(2)])
        let first = try lines([SampleRun.step(1)]).count
        for count in first..<(whole.count - 2) {
            #expect(try EventReader.read(whole.prefix(count)) == [SampleRun.step(1)], "\(count) bytes")
        }
    }

    @Test("takes blank lines, spaces, other orders and Windows line ends")
    func spacing() throws {
        let text = "\n{ \"time\" : 2, \"epoch\":0.5 ,\"step\":1,\"type\":\"step\"}\r\n \n"
        #expect(try EventReader.read(Data(text.utf8)) == [TrainingEvent(.step, step: 1, epoch: 0.5, time: 2)])
    }

    @Test("leaves unknown keys, null and unicode escapes to the JSON decoder")
    func general() throws {
        let text =
            "{\"type\":\"warning\",\"step\":1,\"epoch\":0,\"time\":2,\"later\":[1],\"loss\":null,\"message\":\"\\u00e9\"}\n"
        let event = try #require(try EventReader.read(Data(text.utf8)).first)
        #expect(event.message == "é")
    }

    @Test(
        "names the file and the line of what is no event",
        arguments: [
            "x", "{}", "[1]", "{\"type\":\"step\",\"step\":1e99,\"epoch\":0,\"time\":0}",
            "{\"type\":\"leap\",\"step\":1,\"epoch\":0,\"time\":0}",
            "{\"type\":\"step\",\"step\":1.5,\"epoch\":0,\"time\":0}", "{\"type\":\"step\",\"step\":1,\"epoch\":0",
        ])
    func bad(line: String) throws {
        let text = try lines([SampleRun.step(1)]) + Data("\(line)\n".utf8)
        let error = try #require(throws: ReportError.self) { try EventReader.read(text, file: "run/events.jsonl") }
        #expect(error.description.hasPrefix("run/events.jsonl:2: expected an event"))
    }

    @Test("does not trap on bytes changed at random")
    func fuzz() throws {
        var generator = SplitMix(state: 7)
        let sound = [UInt8](try lines(SampleRun.finished.suffix(4)))
        for _ in 0..<2000 {
            var bytes = sound
            for _ in 0..<3 {
                bytes[Int.random(in: 0..<bytes.count, using: &generator)] = .random(in: 0...255, using: &generator)
            }
            _ = try? EventReader.read(Data(bytes))
        }
    }
}

struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
        return z ^ z >> 31
    }
}
