// New tensors.

extension Tensor {
    /// A tensor of zeros.
    public static func zeros(_ shape: [Int], _ dtype: DType = .float32, on device: Device = .cpu) throws -> Tensor {
        try aten.zeros(shape, dtype, Omitted(), device)
    }
    /// A tensor whose every element is `value`.
    public static func full(
        _ shape: [Int], _ value: Double, _ dtype: DType = .float32, on device: Device = .cpu
    ) throws -> Tensor {
        try aten.full(shape, value, dtype, Omitted(), device)
    }
    /// 0, 1, 2 … `end` - 1.
    public static func arange(_ end: Int, _ dtype: DType = .int64, on device: Device = .cpu) throws -> Tensor {
        try aten.arange(end, dtype, Omitted(), device)
    }
}

extension aten {
    static let zeros = Operator(
        """
        zeros(SymInt[] size, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, \
        bool? pin_memory=None) -> Tensor
        """
    )
    static let full = Operator(
        """
        full(SymInt[] size, Scalar fill_value, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, \
        bool? pin_memory=None) -> Tensor
        """
    )
    static let arange = Operator(
        """
        arange(Scalar end, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, \
        bool? pin_memory=None) -> Tensor
        """
    )
}
