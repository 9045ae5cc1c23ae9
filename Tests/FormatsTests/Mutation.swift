// Random damage to files, the same for the same seed.

import Foundation

/// A small random number generator (SplitMix64).
struct SplitMix64: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// A copy of `bytes` with one to four random changes among its first `header` bytes.
func mutated(_ bytes: [UInt8], header: Int, with random: inout SplitMix64) -> [UInt8] {
    var bytes = bytes
    for _ in 0..<Int.random(in: 1...4, using: &random) { mutate(&bytes, header: header, with: &random) }
    return bytes
}

private func mutate(_ bytes: inout [UInt8], header: Int, with random: inout SplitMix64) {
    let end = min(header, bytes.count)
    guard end > 0 else { return bytes.append(UInt8.random(in: .min ... .max, using: &random)) }
    let place = Int.random(in: 0..<end, using: &random)
    let range = place..<min(end, place + Int.random(in: 1...16, using: &random))
    switch Int.random(in: 0..<9, using: &random) {
    case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
    case 1: bytes[place] = UInt8.random(in: .min ... .max, using: &random)
    case 2: overwrite(&bytes, place, with: integers.randomElement(using: &random) ?? 0, size: 8)
    case 3: overwrite(&bytes, place, with: integers.randomElement(using: &random) ?? 0, size: 4)
    case 4: bytes.removeSubrange(range)
    case 5: bytes.insert(contentsOf: bytes[range], at: place)
    case 6: bytes.removeSubrange(place...)
    case 7: bytes.replaceSubrange(range, with: words.randomElement(using: &random)?.utf8 ?? "".utf8)
    default: bytes.swapAt(place, Int.random(in: 0..<end, using: &random))
    }
}

private func overwrite(_ bytes: inout [UInt8], _ place: Int, with value: UInt64, size: Int) {
    for index in 0..<min(size, bytes.count - place) {
        bytes[place + index] = UInt8(truncatingIfNeeded: value >> (8 * index))
    }
}

/// Numbers at which arithmetic goes wrong.
private let integers: [UInt64] = [
    0, 1, 2, 3, 7, 8, 9, 31, 32, 33, 255, 256, 65535, 1 << 20, 1 << 31, (1 << 31) - 1, (1 << 32) - 1, 1 << 32, 1 << 62,
    (1 << 63) - 1, 1 << 63, (1 << 63) + 1, .max - 31, .max - 7, .max - 1, .max,
]

/// Pieces of JSON at which readers go wrong.
private let words = [
    "{", "}", "[", "]", "[[[[[[[[[[[[[[[[[[[[", "\"", ":", ",", "\\", "\\u", "\\ud800", "\\u0000", "-1", "1.5", "1e9",
    "null",
    "9223372036854775807", "9223372036854775808", "99999999999999999999", "\"dtype\"", "\"F64\"", "\"BOOL\"",
    "\"Q4_0\"",
    "\"shape\":[0]", "\"data_offsets\":[0,0]", "\"__metadata__\":{}", "\u{FEFF}", "\u{0}", "é",
]
