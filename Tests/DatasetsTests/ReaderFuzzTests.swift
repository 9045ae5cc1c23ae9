// Damaged data files give samples or one line of error, never a crash. The number of mutations per kind can be raised:
// LORA_FUZZ=20000 (see scripts/fuzz/jsonl).

import Foundation
import Testing

@testable import Datasets

@Suite("Damaged data files")
struct ReaderFuzzTests {
    private static let mutations = ProcessInfo.processInfo.environment["LORA_FUZZ"].flatMap { Int($0) } ?? 300

    private static let seeds = [
        (
            "a.jsonl",
            #"{"messages":[{"role":"user","content":"é \u00e9 \ud83d\ude42"},{"role":"assistant","content":"b\n"}]}"#
                + "\n"
                + #"{"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"<|z|>"}],"n":-1.5e3}"#
                + "\n"
        ),
        (
            "b.jsonl",
            #"{"instruction":"a","input":"","output":"b","history":[["c","d"]]}"# + "\r\n"
                + #"{"instruction":"é","output":"b"}"#
        ),
        ("a.json", "[\n" + #"{"text": "a"}, {"text": "b", "meta": {"k": [null, true, false, 0.1]}}"# + "\n]"),
        ("a.csv", "prompt,completion\r\n\"a, \"\"q\"\"\nb\",c\r\nd,\"é\"\r\n"),
        ("a.txt", "a\n\nb 🙂\r\n\r\nc"),
    ]

    @Test("are read or refused, each mutation of every kind", arguments: seeds)
    func mutations(_ name: String, _ content: String) throws {
        let original = Array(content.utf8)
        let tokens = [
            "\"", "\\", "{", "}", "[", "]", ",", ":", "\n", "\r", "\0", "\\u", "\\ud800", "null", "1e", "-", "\u{FEFF}",
        ]
        .map { Array($0.utf8) }
        var random = SplitMix64(seed: 11)
        var outcomes = (read: 0, refused: 0)
        for _ in 0..<Self.mutations {
            var bytes = original
            for _ in 0...random.next(below: 4) {
                let place = random.next(below: max(1, bytes.count))
                guard place < bytes.count else { break }
                switch random.next(below: 5) {
                case 0: bytes[place] = UInt8(truncatingIfNeeded: random.next())
                case 1: bytes.remove(at: place)
                case 2: bytes.insert(contentsOf: tokens[random.next(below: tokens.count)], at: place)
                case 3: bytes.removeSubrange(place..<min(bytes.count, place + random.next(below: 30)))
                default: bytes.append(contentsOf: bytes[place..<min(bytes.count, place + random.next(below: 30))])
                }
            }
            do {
                try read(bytes, name)
                outcomes.read += 1
            } catch {
                #expect(error is DatasetError && !"\(error)".contains("\n"), "\(error)")
                outcomes.refused += 1
            }
        }
        #expect(outcomes.read > 0 && outcomes.read + outcomes.refused == Self.mutations)
    }

    private func read(_ bytes: [UInt8], _ name: String) throws {
        let text = try SourceText(bytes, file: name)
        let records: [DataRecord] =
            switch URL(fileURLWithPath: name).pathExtension {
            case "jsonl": try RecordReader.lines(text)
            case "json": try RecordReader.json(text)
            case "csv": try CSVReader.records(text, isTabSeparated: false)
            default: RecordReader.plainText(text, unit: .paragraph)
            }
        var reader = ExampleReader(format: nil)
        let encoder = try SampleEncoder(chatTokenizer, TextDataOptions(maxLength: 16, lengthPolicy: .split))
        for record in records {
            guard let example = try reader.example(record) else { continue }
            _ = try encoder.encode(example)
        }
    }
}
