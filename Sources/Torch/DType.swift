// The element types of tensors.

/// The type of a tensor's elements; raw values are libtorch's `ScalarType`.
public enum DType: Int32, Sendable, CustomStringConvertible {
    /// An unsigned integer of 8 bits.
    case uint8 = 0
    /// A signed integer of 8 bits.
    case int8 = 1
    /// A signed integer of 16 bits.
    case int16 = 2
    /// A signed integer of 32 bits.
    case int32 = 3
    /// A signed integer of 64 bits.
    case int64 = 4
    /// An IEEE 754 float of 16 bits.
    case float16 = 5
    /// A float of 32 bits.
    case float32 = 6
    /// A float of 64 bits.
    case float64 = 7
    /// A byte that is 0 or 1.
    case bool = 11
    /// The upper 16 bits of a 32-bit float.
    case bfloat16 = 15

    /// Bytes an element takes.
    public var size: Int {
        switch self {
        case .uint8, .int8, .bool: 1
        case .int16, .float16, .bfloat16: 2
        case .int32, .float32: 4
        case .int64, .float64: 8
        }
    }

    public var description: String {
        switch self {
        case .uint8: "uint8"
        case .int8: "int8"
        case .int16: "int16"
        case .int32: "int32"
        case .int64: "int64"
        case .float16: "float16"
        case .float32: "float32"
        case .float64: "float64"
        case .bool: "bool"
        case .bfloat16: "bfloat16"
        }
    }
}
