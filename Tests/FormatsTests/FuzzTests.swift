// Damaged files: every one is either read or refused with a one-line message; none ends the program.

import Foundation
import TestSupport
import Testing

@Suite("Damaged files")
struct FuzzTests {
    @Test("500 mutations are read or refused in one line", arguments: ReaderUnderTest.allCases)
    func mutations(reader: ReaderUnderTest) throws {
        let name = reader == .gguf ? "gguf-mixed.gguf" : "safetensors-mixed.safetensors"
        let seed = [UInt8](try Data(contentsOf: goldens.appendingPathComponent(name)))
        var random = SplitMix64(seed: 7)
        try withTemporaryFolder { folder in
            let url = folder.appendingPathComponent("mutated")
            var accepted = 0
            for _ in 0..<500 {
                try replace(url, with: Data(mutated(seed, header: 900, with: &random)))
                if try reader.accepts(url) { accepted += 1 }
            }
            // Were none accepted, the mutations would stop at the first check; were all, nothing would be checked.
            #expect((1...250).contains(accepted), "\(accepted) of 500 accepted")
        }
    }

    @Test("a file cut off anywhere is refused", arguments: ReaderUnderTest.allCases)
    func truncations(reader: ReaderUnderTest) throws {
        let name = reader == .gguf ? "gguf-mixed.gguf" : "safetensors-mixed.safetensors"
        let whole = try Data(contentsOf: goldens.appendingPathComponent(name))
        // Padding follows the last tensor of the GGUF file.
        let end = reader == .gguf ? 1094 : whole.count
        try withTemporaryFolder { folder in
            let url = folder.appendingPathComponent("cut")
            for length in 0..<end {
                try replace(url, with: whole.prefix(length))
                #expect(try !reader.accepts(url), "\(length) bytes")
            }
        }
    }
}
