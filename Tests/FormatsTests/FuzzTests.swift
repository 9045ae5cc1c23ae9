// Damaged model files: every one is either read or refused with a one-line message; none ends the program.

import Foundation
import TestSupport
import Testing

/// A file that is damaged, and where: within its header.
struct FuzzSeed: Sendable, CustomTestStringConvertible {
    let name: String
    /// Bytes before the header.
    var start = 0
    /// The header's length.
    let header: Int
    let reader: ReaderUnderTest
    var testDescription: String { "\(name) from \(start)" }

    func bytes() throws -> [UInt8] { [UInt8](try Data(contentsOf: goldens.appendingPathComponent(name))) }

    static let all = [
        FuzzSeed(name: "gguf-mixed.gguf", header: 900, reader: .gguf),
        FuzzSeed(name: "safetensors-mixed.safetensors", header: 900, reader: .safetensors),
        FuzzSeed(name: "torch-mixed.ckpt", start: 64, header: 2551, reader: .torch),  // the pickle
        FuzzSeed(name: "torch-mixed.ckpt", start: 5504, header: 1676, reader: .torch),  // the archive's list
        FuzzSeed(name: "blocks.safetensors", header: 2300, reader: .safetensors),
    ]
}

@Suite("Damaged model files")
struct ModelFileFuzzTests {
    /// 500, or as many as scripts/fuzz/formats asks for.
    private static let count = ProcessInfo.processInfo.environment["LORA_FUZZ"].flatMap(Int.init) ?? 500

    @Test("mutations are read or refused in one line", arguments: FuzzSeed.all)
    func mutations(seed: FuzzSeed) throws {
        let whole = try seed.bytes()
        var random = SplitMix64(seed: 7)
        try withTemporaryFolder { folder in
            let url = folder.appendingPathComponent("mutated")
            var accepted = 0
            for _ in 0..<Self.count {
                let changed = mutated(Array(whole[seed.start...]), header: seed.header, with: &random)
                try replace(url, with: Data(whole[..<seed.start] + changed))
                if try seed.reader.accepts(url) { accepted += 1 }
            }
            // Were none accepted, the mutations would stop at the first check; were all, nothing would be checked.
            #expect(
                accepted > 0 && accepted < Self.count / (seed.reader == .torch ? 2 : 4),
                "\(accepted) of \(Self.count) accepted")
        }
    }

    @Test("a file cut off at any place is refused", arguments: FuzzSeed.all.prefix(3))
    func truncations(seed: FuzzSeed) throws {
        let whole = try seed.bytes()
        // Padding follows the last tensor of the GGUF file.
        let end = seed.reader == .gguf ? 1094 : whole.count
        try withTemporaryFolder { folder in
            let url = folder.appendingPathComponent("cut")
            for length in stride(from: 0, to: end, by: 5) {
                try replace(url, with: Data(whole[..<length]))
                #expect(try !seed.reader.accepts(url), "\(length) bytes")
            }
        }
    }
}
