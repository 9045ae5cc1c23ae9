// Many elements into one.

extension Tensor {
    /// The sum of all elements, without dimensions.
    public func sum() throws -> Tensor { try aten.sum(self) }
    /// The place of the largest element along `dim`.
    public func argmax(_ dim: Int) throws -> Tensor { try aten.argmax(self, dim) }
    /// Whether every element is true.
    public func all() throws -> Tensor { try aten.all(self) }
    /// The square root of the sum of squares.
    public func norm() throws -> Tensor { try aten.norm(self) }
}

extension aten {
    static let sum = Operator("sum(Tensor self, *, ScalarType? dtype=None) -> Tensor")
    static let argmax = Operator("argmax(Tensor self, int? dim=None, bool keepdim=False) -> Tensor")
    static let all = Operator("all(Tensor self) -> Tensor")
    static let norm = Operator(
        """
        linalg_vector_norm(Tensor self, Scalar ord=2, int[1]? dim=None, bool keepdim=False, *, \
        ScalarType? dtype=None) -> Tensor
        """
    )
}
