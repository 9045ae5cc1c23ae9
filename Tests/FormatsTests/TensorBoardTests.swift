// Event files equal, byte for byte, what TensorBoard's own classes encode.

import Foundation
import TestSupport
import Testing

@testable import Formats

@Suite("TensorBoard event files")
struct TensorBoardTests {
    struct Golden: Decodable {
        let records: [String: String]
        let crc32c: [String: UInt32]
    }

    let golden: Golden

    init() throws {
        let file = goldens.appendingPathComponent("tensorboard_events.json")
        golden = try JSONDecoder().decode(Golden.self, from: Data(contentsOf: file))
    }

    static let events: [(name: String, event: TensorBoardEvent)] = [
        ("version", .init(time: 1_700_000_000.25, step: 0, content: .fileVersion)),
        ("session", .init(time: 1_700_000_001.5, step: 41, content: .sessionStart)),
        (
            "scalars",
            .init(
                time: 1_700_000_002, step: 300,
                content: .scalars([.init("train/loss", 2.345678), .init("train/learning_rate", 2e-4)]))
        ),
        ("zero", .init(time: 1_700_000_003, step: 0, content: .scalars([.init("train/loss", 0)]))),
        ("large", .init(time: 1_700_000_004, step: 5_000_000_000, content: .scalars([.init("训练/loss", -1.5e30)]))),
        (
            "text",
            .init(
                time: 1_700_000_005, step: 7,
                content: .text(
                    tag: "samples/1",
                    markdown: "**What is LoRA?**\n\nA | B — 低秩适配\n" + String(repeating: "x", count: 200)))
        ),
    ]

    @Test("each kind of event is encoded as TensorBoard's own classes encode it", arguments: events.map(\.name))
    func records(name: String) throws {
        let event = try #require(Self.events.first { $0.name == name }?.event)
        #expect(hexadecimal(TensorBoardRecord.frame(event.encoded)) == golden.records[name])
    }

    @Test("every golden record has its event here")
    func coverage() {
        #expect(Set(Self.events.map(\.name)) == Set(golden.records.keys))
    }

    @Test("the checksum is CRC-32C")
    func checksum() throws {
        #expect(TensorBoardRecord.crc32c(Array("123456789".utf8)) == 0xe306_9283)
        for (hex, expected) in golden.crc32c {
            #expect(TensorBoardRecord.crc32c(try bytes(hex)) == expected, "of \(hex)")
        }
    }

    @Test("a file begins with its version and holds the events in order")
    func file() throws {
        try withTemporaryFolder { folder in
            let writer = try TensorBoardWriter(folder: folder.appendingPathComponent("logs"), time: 1_700_000_000.25)
            for (_, event) in Self.events.dropFirst() { try writer.append(event) }
            let expected = Self.events.compactMap { golden.records[$0.name] }.joined()
            #expect(hexadecimal([UInt8](try Data(contentsOf: writer.file))) == expected)
            #expect(writer.file.lastPathComponent.hasPrefix("events.out.tfevents.1700000000."))
        }
    }

    @Test("two writers of the same second do not share a file")
    func sameSecond() throws {
        try withTemporaryFolder { folder in
            let first = try TensorBoardWriter(folder: folder, time: 5)
            let second = try TensorBoardWriter(folder: folder, time: 5)
            #expect(first.file != second.file)
            #expect(first.file.lastPathComponent.hasPrefix("events.out.tfevents.0000000005."))
        }
    }

    @Test("a folder that cannot be made is named, with what to do")
    func notWritable() throws {
        try withTemporaryFolder { folder in
            let file = folder.appendingPathComponent("logs")
            try Data("x".utf8).write(to: file)
            let error = try #require(throws: TensorBoardError.self) { try TensorBoardWriter(folder: file) }
            #expect(error.description.hasPrefix("\(file.path): cannot create the TensorBoard event file: "))
            #expect(error.description.hasSuffix("check its rights and the free space (df -h)"))
            #expect(!error.description.contains("\n"))
        }
    }

    @Test("times and values that are not numbers are written, not trapped on")
    func notFinite() throws {
        try withTemporaryFolder { folder in
            let writer = try TensorBoardWriter(folder: folder, time: .nan)
            try writer.append(.init(time: .infinity, step: -1, content: .scalars([.init("loss", .nan)])))
            #expect(try Data(contentsOf: writer.file).count > 80)
        }
    }
}

private func hexadecimal(_ bytes: [UInt8]) -> String {
    bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
}

private func bytes(_ hexadecimal: String) throws -> [UInt8] {
    let digits = Array(hexadecimal)
    return try stride(from: 0, to: digits.count, by: 2).map { index in
        try #require(UInt8(String(digits[index...index + 1]), radix: 16))
    }
}
