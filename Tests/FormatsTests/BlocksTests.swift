// Expanded blocks equal those of the gguf package bit for bit, with every instruction set of this processor.

import CBlocks
import Foundation
import TestSupport
import Testing

@testable import Formats

@Suite("Quantised blocks")
struct BlocksTests {
    private static let types: [ElementType] = [
        .f32, .f16, .bf16, .q4_0, .q4_1, .q5_0, .q5_1, .q8_0, .q2_K, .q3_K, .q4_K, .q5_K, .q6_K,
    ]

    @Test("expansion equals the gguf package bit for bit", arguments: types)
    func parity(type: ElementType) throws {
        let golden = try SafetensorsFile(goldens.appendingPathComponent("blocks.safetensors"))
        let expected = try golden.tensor("\(type).floats").floats().map(\.bitPattern)
        let blocks = [UInt8](try golden.tensor("\(type).blocks").data())
        for level in 0...blocks_level() {
            // Neither blocks nor a thread's share of them need be aligned.
            for shift in 0...1 {
                let actual = try decoded([UInt8](repeating: 0, count: shift) + blocks, from: shift, type, level)
                let wrong = actual.indices.first { actual[$0].bitPattern != expected[$0] }
                #expect(actual.count == expected.count)
                #expect(wrong == nil, "level \(level): \(wrong.map { "element \($0) is \(actual[$0])" } ?? "")")
            }
        }
    }

    private func decoded(_ bytes: [UInt8], from start: Int, _ type: ElementType, _ level: Int32) throws -> [Float] {
        let number = try #require(type.ggmlType)
        let count = (bytes.count - start) / type.blockBytes * type.blockSize
        var floats = [Float](repeating: .nan, count: count)
        let status = bytes.withUnsafeBytes {
            blocks_decode_at(level, number, $0.baseAddress.map { $0 + start }, Int64(count), &floats)
        }
        #expect(status == 0)
        return floats
    }

    @Test("a type, a count or a processor level that does not exist is answered, not tried")
    func refusals() {
        var floats: [Float] = [7]
        let blocks = [UInt8](repeating: 0, count: 256)
        #expect(blocks_decode(23, blocks, 256, &floats) == 1)
        #expect(blocks_decode(2, blocks, 31, &floats) == 2)
        #expect(blocks_decode(0, blocks, -1, &floats) == 2)
        #expect(blocks_decode_at(99, 0, blocks, 1, &floats) == 3)
        #expect(blocks_decode_at(-1, 0, blocks, 1, &floats) == 3)
        #expect(blocks_decode(2, nil, 0, nil) == 0)
        #expect(floats == [7])
        #expect(blocks_elements(23) == 0 && blocks_bytes(-1) == 0)
    }

    @Test("every half-precision number is expanded exactly with every instruction set")
    func halves() throws {
        let halves = (UInt16.min ... .max).filter { $0 & 0x7C00 != 0x7C00 || $0 & 0x03FF == 0 }
        let bytes = halves.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8($0 >> 8)] }
        for level in 0...blocks_level() {
            let floats = try decoded(bytes, from: 0, .f16, level)
            let wrong = zip(halves, floats).first { half, float in float.bitPattern != Self.exact(half).bitPattern }
            #expect(wrong == nil, "level \(level): \(String(describing: wrong))")
        }
    }

    /// Sign, 5 bits of exponent, 10 bits of fraction (IEEE 754 binary16).
    private static func exact(_ half: UInt16) -> Float {
        let (exponent, fraction) = (Int(half >> 10 & 31), Float(half & 1023))
        let sign: Float = half >> 15 == 1 ? -1 : 1
        if exponent == 31 { return sign * .infinity }
        if exponent == 0 { return sign * fraction * Float(sign: .plus, exponent: -24, significand: 1) }
        return sign * (1024 + fraction) * Float(sign: .plus, exponent: exponent - 25, significand: 1)
    }

    @Test("several threads expand at once")
    func concurrency() async throws {
        let golden = try SafetensorsFile(goldens.appendingPathComponent("blocks.safetensors"))
        let expected = try golden.tensor("Q4_K.floats").floats()
        let blocks = [UInt8](try golden.tensor("Q4_K.blocks").data())
        let level = blocks_level()
        let equal = try await withThrowingTaskGroup(of: Bool.self) { group in
            for _ in 0..<32 { group.addTask { try decoded(blocks, from: 0, .q4_K, level) == expected } }
            return try await group.reduce(true) { $0 && $1 }
        }
        #expect(equal)
    }

    @Test("sizes of element types are exact, and nil where blocks are not whole or the size overflows")
    func sizes() {
        #expect(ElementType.q4_1.byteCount(elements: 64) == 40)
        #expect(ElementType.q6_K.byteCount(shape: [3, 512]) == 1260)
        #expect(ElementType.q6_K.byteCount(elements: 128) == nil)
        #expect(ElementType.q4_0.byteCount(shape: [32, 16]) == nil)
        #expect(ElementType.f64.byteCount(elements: .max) == nil)
        #expect(ElementType.f32.byteCount(shape: [1 << 32, 1 << 32]) == nil)
        #expect(ElementType.f32.byteCount(shape: [-1, -1]) == nil)
        #expect(ElementType.bool.byteCount(shape: []) == 1)
        for type in ElementType.allCases { #expect(type.blockBytes > 0 && type.blockSize > 0) }
    }
}
