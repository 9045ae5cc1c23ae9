// The values of a GGUF file's metadata.

import Foundation

/// A metadata value: a number, a text, or an array of them.
public enum GGUFValue: Sendable {
    /// Any of the integer types, where it fits.
    case integer(Int)
    /// An unsigned integer of 2⁶³ or more.
    case large(UInt64)
    /// A float of 32 or 64 bits.
    case real(Double)
    /// A truth value.
    case bool(Bool)
    /// A text.
    case string(String)
    /// An array of one of the integer types, all of which fit.
    case integers([Int])
    /// An array of floats of 32 or 64 bits.
    case reals([Double])
    /// An array of truth values.
    case bools([Bool])
    /// An array of texts, not copied.
    case strings(GGUFStrings)
    /// An array of arrays, or of integers some of which are large.
    case values([GGUFValue])

    /// The integer, if it is one.
    public var integer: Int? { if case .integer(let value) = self { value } else { nil } }

    /// The number, whether whole or not.
    public var real: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .large(let value): Double(value)
        case .real(let value): value
        default: nil
        }
    }

    /// The truth value, if it is one.
    public var bool: Bool? { if case .bool(let value) = self { value } else { nil } }

    /// The text, if it is one.
    public var string: String? { if case .string(let value) = self { value } else { nil } }

    /// The integers, if it is an array of them.
    public var integers: [Int]? { if case .integers(let values) = self { values } else { nil } }

    /// The numbers, if it is an array of them.
    public var reals: [Double]? {
        switch self {
        case .integers(let values): values.map(Double.init)
        case .reals(let values): values
        default: nil
        }
    }

    /// The truth values, if it is an array of them.
    public var bools: [Bool]? { if case .bools(let values) = self { values } else { nil } }

    /// The texts, if it is an array of them.
    public var strings: GGUFStrings? { if case .strings(let values) = self { values } else { nil } }

    /// What it is, for messages: `a text`, `an array of 3 integers` …
    public var kind: String {
        switch self {
        case .integer, .large: "an integer"
        case .real: "a number"
        case .bool: "a truth value"
        case .string: "a text"
        case .integers(let values): "an array of \(values.count.grouped) integers"
        case .reals(let values): "an array of \(values.count.grouped) numbers"
        case .bools(let values): "an array of \(values.count.grouped) truth values"
        case .strings(let values): "an array of \(values.count.grouped) texts"
        case .values(let values): "an array of \(values.count.grouped) values"
        }
    }
}

/// An array of texts that stays in the mapped file: a vocabulary of 150,000 tokens costs one index, no copies.
public struct GGUFStrings: RandomAccessCollection, Sendable {
    private let file: MappedFile
    /// Where each text begins; the length lies in the 8 bytes before it. One more than texts.
    private let starts: [Int]

    init(file: MappedFile, starts: [Int]) {
        (self.file, self.starts) = (file, starts)
    }

    /// Always 0.
    public var startIndex: Int { 0 }
    /// The number of texts.
    public var endIndex: Int { starts.count - 1 }

    /// The text, with broken UTF-8 repaired.
    public subscript(index: Int) -> String {
        withBytes(index) { String(decoding: $0, as: UTF8.self) }
    }

    /// Gives the bytes of a text as they lie in the file.
    public func withBytes<R>(_ index: Int, _ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        let range = starts[index]..<(starts[index + 1] - 8)
        return try file.withBytes { try body(UnsafeRawBufferPointer(rebasing: $0[range])) }
    }
}
