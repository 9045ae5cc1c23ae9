// Element by element, and products of matrices.

extension Tensor {
    public static func + (a: Tensor, b: Tensor) throws -> Tensor { try aten.add(a, b) }
    public static func - (a: Tensor, b: Tensor) throws -> Tensor { try aten.sub(a, b) }
    public static func * (a: Tensor, b: Tensor) throws -> Tensor { try aten.mul(a, b) }
    public static func * (a: Tensor, b: Double) throws -> Tensor { try aten.mulScalar(a, b) }
    public static func / (a: Tensor, b: Tensor) throws -> Tensor { try aten.div(a, b) }
    public func cos() throws -> Tensor { try aten.cos(self) }
    public func sin() throws -> Tensor { try aten.sin(self) }
    public func abs() throws -> Tensor { try aten.abs(self) }
    public func exp() throws -> Tensor { try aten.exp(self) }
    public func sigmoid() throws -> Tensor { try aten.sigmoid(self) }
    /// `x · sigmoid(x)`.
    public func silu() throws -> Tensor { try aten.silu(self) }
    /// `x · Φ(x)`, exactly (Hendrycks and Gimpel, arXiv:1606.08415).
    public func gelu() throws -> Tensor { try aten.gelu(self) }
    public func clamped(_ low: Double, _ high: Double) throws -> Tensor { try aten.clamp(self, low, high) }
    /// The product of two matrices, or of stacks of them.
    public func matmul(_ other: Tensor) throws -> Tensor { try aten.matmul(self, other) }
    /// The softmax over `dim`, computed in `dtype` when given.
    public func softmax(_ dim: Int, dtype: DType? = nil) throws -> Tensor { try aten.softmax(self, dim, dtype) }
    /// The logarithm of the softmax over `dim`, computed in `dtype` when given.
    public func logSoftmax(_ dim: Int, dtype: DType? = nil) throws -> Tensor { try aten.logSoftmax(self, dim, dtype) }
    /// True for each element that is a number and not infinite.
    public func isFinite() throws -> Tensor { try aten.isfinite(self) }

    // In place
    public func copy(from source: Tensor) throws { try aten.copy_(self, source) }
    public func zero() throws { try aten.zero_(self) }
}

extension aten {
    static let add = Operator("add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor")
    static let sub = Operator("sub.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor")
    static let mul = Operator("mul.Tensor(Tensor self, Tensor other) -> Tensor")
    static let mulScalar = Operator("mul.Scalar(Tensor self, Scalar other) -> Tensor")
    static let div = Operator("div.Tensor(Tensor self, Tensor other) -> Tensor")
    static let cos = Operator("cos(Tensor self) -> Tensor")
    static let sin = Operator("sin(Tensor self) -> Tensor")
    static let exp = Operator("exp(Tensor self) -> Tensor")
    static let sigmoid = Operator("sigmoid(Tensor self) -> Tensor")
    static let silu = Operator("silu(Tensor self) -> Tensor")
    static let gelu = Operator("gelu(Tensor self, *, str approximate=\"none\") -> Tensor")
    static let clamp = Operator("clamp(Tensor self, Scalar? min=None, Scalar? max=None) -> Tensor")
    static let abs = Operator("abs(Tensor self) -> Tensor")
    static let matmul = Operator("matmul(Tensor self, Tensor other) -> Tensor")
    static let softmax = Operator("softmax.int(Tensor self, int dim, ScalarType? dtype=None) -> Tensor")
    static let logSoftmax = Operator("log_softmax.int(Tensor self, int dim, ScalarType? dtype=None) -> Tensor")
    static let isfinite = Operator("isfinite(Tensor self) -> Tensor")
    static let copy_ = Operator("copy_(Tensor(a!) self, Tensor src, bool non_blocking=False) -> Tensor(a!)")
    static let zero_ = Operator("zero_(Tensor(a!) self) -> Tensor(a!)")
}
