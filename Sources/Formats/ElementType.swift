// How the numbers of a tensor are stored, in safetensors and in GGUF files.

import CBlocks

/// The storage of a tensor's elements: single numbers, or blocks of quantised ones.
///
/// Blocks are laid out as in https://github.com/ggml-org/ggml/blob/master/src/ggml-common.h
public enum ElementType: String, Sendable, Hashable, CaseIterable, CustomStringConvertible {
    /// A float of 64 bits.
    case f64 = "F64"
    /// A float of 32 bits.
    case f32 = "F32"
    /// An IEEE 754 float of 16 bits.
    case f16 = "F16"
    /// The upper 16 bits of a 32-bit float.
    case bf16 = "BF16"
    /// A signed integer of 64 bits.
    case i64 = "I64"
    /// A signed integer of 32 bits.
    case i32 = "I32"
    /// A signed integer of 16 bits.
    case i16 = "I16"
    /// A signed integer of 8 bits.
    case i8 = "I8"
    /// An unsigned integer of 8 bits.
    case u8 = "U8"
    /// A byte that is 0 or 1.
    case bool = "BOOL"
    /// 4 bits and a scale for 32 numbers: 4.5 bits a number.
    case q4_0 = "Q4_0"
    /// 4 bits, a scale and a minimum for 32 numbers: 5 bits a number.
    case q4_1 = "Q4_1"
    /// 5 bits and a scale for 32 numbers: 5.5 bits a number.
    case q5_0 = "Q5_0"
    /// 5 bits, a scale and a minimum for 32 numbers: 6 bits a number.
    case q5_1 = "Q5_1"
    /// 8 bits and a scale for 32 numbers: 8.5 bits a number.
    case q8_0 = "Q8_0"
    /// 2 bits, 256 numbers in groups of 16 with scales and minima: 2.625 bits a number.
    case q2_K = "Q2_K"
    /// 3 bits, 256 numbers in groups of 16 with scales: 3.4375 bits a number.
    case q3_K = "Q3_K"
    /// 4 bits, 256 numbers in groups of 32 with scales and minima: 4.5 bits a number.
    case q4_K = "Q4_K"
    /// 5 bits, 256 numbers in groups of 32 with scales and minima: 5.5 bits a number.
    case q5_K = "Q5_K"
    /// 6 bits, 256 numbers in groups of 16 with scales: 6.5625 bits a number.
    case q6_K = "Q6_K"

    /// The name that the file formats use, such as `Q4_1`.
    public var name: String { rawValue }

    /// The same as `name`.
    public var description: String { rawValue }

    /// The number of this type in GGUF files; nil for types that only safetensors has.
    public var ggmlType: Int32? {
        switch self {
        case .f32: 0
        case .f16: 1
        case .q4_0: 2
        case .q4_1: 3
        case .q5_0: 6
        case .q5_1: 7
        case .q8_0: 8
        case .q2_K: 10
        case .q3_K: 11
        case .q4_K: 12
        case .q5_K: 13
        case .q6_K: 14
        case .i8: 24
        case .i16: 25
        case .i32: 26
        case .i64: 27
        case .f64: 28
        case .bf16: 30
        case .u8, .bool: nil
        }
    }

    /// The type that a GGUF file means by a number, if it is read.
    public init?(ggmlType: Int32) {
        guard let type = Self.byNumber[ggmlType] else { return nil }
        self = type
    }

    private static let byNumber: [Int32: ElementType] = allCases.reduce(into: [:]) { types, type in
        if let number = type.ggmlType { types[number] = type }
    }

    /// Whether the type packs several numbers with common scales.
    public var isQuantised: Bool { blockSize > 1 }

    /// Elements in a block; 1 for plain numbers.
    public var blockSize: Int { ggmlType.map { Int(blocks_elements($0)) }.flatMap { $0 > 0 ? $0 : nil } ?? 1 }

    /// Bytes of a block, or of a plain number.
    public var blockBytes: Int {
        switch self {
        case .f64, .i64: 8
        case .i32: 4
        case .i16: 2
        case .i8, .u8, .bool: 1
        default: ggmlType.map { Int(blocks_bytes($0)) } ?? 0
        }
    }

    /// The bytes that so many elements take; nil where they do not fill whole blocks or the size overflows.
    public func byteCount(elements: Int) -> Int? {
        guard elements >= 0, elements.isMultiple(of: blockSize) else { return nil }
        let (bytes, overflow) = (elements / blockSize).multipliedReportingOverflow(by: blockBytes)
        return overflow ? nil : bytes
    }

    /// The bytes of a tensor whose rows (the last dimension) are stored in whole blocks; nil as for `elements:`.
    public func byteCount(shape: [Int]) -> Int? {
        guard (shape.last ?? 1).isMultiple(of: blockSize) else { return nil }
        return Self.elementCount(shape).flatMap(byteCount(elements:))
    }

    /// The product of a shape; nil where a dimension is negative or the product overflows.
    static func elementCount(_ shape: [Int]) -> Int? {
        var product = 1
        for size in shape {
            let (next, overflow) = product.multipliedReportingOverflow(by: size)
            guard size >= 0, !overflow else { return nil }
            product = next
        }
        return product
    }
}

extension ElementType {
    /// The name of a GGUF type that is not read, for messages.
    static func unreadName(ggmlType: UInt32) -> String { unread[ggmlType] ?? "type \(ggmlType)" }

    private static let unread: [UInt32: String] = [
        4: "Q4_2", 5: "Q4_3", 9: "Q8_1", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S",
        20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 29: "IQ1_M", 31: "Q4_0_4_4", 32: "Q4_0_4_8",
        33: "Q4_0_8_8", 34: "TQ1_0", 35: "TQ2_0", 36: "IQ4_NL_4_4", 37: "IQ4_NL_4_8", 38: "IQ4_NL_8_8",
        39: "MXFP4", 40: "NVFP4", 41: "Q1_0",
    ]
}
