// Mutated configurations: each is read or explained, none crashes. scripts/fuzz/yaml runs more of them.

import Foundation
import Testing

@testable import Runs

/// A small generator of random numbers: the same seed, the same numbers (Steele et al., SplitMix64).
private struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

@Suite("Mutated configurations")
struct ConfigurationFuzzTests {
    private static let morsels: [[UInt8]] =
        [
            ": ", "\n", "\t", "- ", "[", "]", "{", "}", "\"", "'", "#", "&a ", "*a", "!!str ", "!x ", "|", ">", "? ",
            "---\n",
            "...\n", "%YAML 1.2\n", "~", "null", "1e999", "-0", "0x10", ".nan", "99999999999999999999", "\u{0}",
            "\u{FEFF}",
            "\u{2028}", "🙂", "e\u{301}", "<<: *a\n", "samples:\n", "lora_rank: 1\n", "{{", "{project", "\r", "\\",
        ].map { Array($0.utf8) } + [[0xFF], [0xC3], [0xED, 0xA0, 0x80]]

    private func mutate(_ bytes: [UInt8], _ random: inout SplitMix) -> [UInt8] {
        var bytes = bytes
        for _ in 0..<Int.random(in: 1...6, using: &random) {
            let place = Int.random(in: 0...bytes.count, using: &random)
            let end = min(bytes.count, place + Int.random(in: 0...12, using: &random))
            switch Int.random(in: 0..<5, using: &random) {
            case 0: bytes.removeSubrange(place..<end)
            case 1: bytes.insert(contentsOf: Self.morsels.randomElement(using: &random) ?? [], at: place)
            case 2: bytes.insert(contentsOf: bytes[place..<end], at: Int.random(in: 0...bytes.count, using: &random))
            case 3 where place < bytes.count: bytes[place] = UInt8.random(in: 0...255, using: &random)
            default: bytes.replaceSubrange(place..<end, with: Self.morsels.randomElement(using: &random) ?? [])
            }
        }
        return bytes
    }

    @Test("each is read and reads back, or is explained line by line")
    func mutations() {
        let wanted = ProcessInfo.processInfo.environment["LORA_FUZZ"].flatMap { Int($0) } ?? 500
        var random = SplitMix(state: 2)
        var (read, explained) = (0, 0)
        for index in 0..<wanted {
            let seedText = [smallest, everyKey, oddTexts][index % 3]
            let text = String(decoding: mutate(Array(seedText.utf8), &random), as: UTF8.self)
            do throws(ConfigurationError) {
                let configuration = try Configuration.parse(text, source: "c.yaml")
                read += 1
                #expect(
                    (try? Configuration.parse(configuration.yaml, source: "again.yaml")) == configuration, "\(text)")
            } catch {
                explained += 1
                let lines = error.problems.map(\.description)
                #expect(!lines.isEmpty && lines.allSatisfy { !$0.contains("\n") }, "\(text)")
            }
        }
        #expect(read > 0 && explained > 0 && read + explained == wanted)
        if wanted > 500 { print("\(wanted) mutations: \(read) read, \(explained) explained, none crashed") }
    }
}
