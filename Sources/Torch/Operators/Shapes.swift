// Other shapes, parts, types and places of the same elements.

extension Tensor {
    /// The same memory under another shape; -1 stands for what is left.
    public func view(_ shape: Int...) throws -> Tensor { try aten.view(self, shape) }
    /// Another shape, copied only where it must be.
    public func reshape(_ shape: Int...) throws -> Tensor { try aten.reshape(self, shape) }
    public func transpose(_ a: Int, _ b: Int) throws -> Tensor { try aten.transpose(self, a, b) }
    public func contiguous() throws -> Tensor { try aten.contiguous(self) }
    public func unsqueeze(_ dim: Int) throws -> Tensor { try aten.unsqueeze(self, dim) }
    /// The same elements without history of gradients.
    public func detach() throws -> Tensor { try aten.detach(self) }
    /// A copy with memory of its own.
    public func clone() throws -> Tensor { try aten.clone(self) }
    /// `length` elements of `dim` from `start` on.
    public func narrow(_ dim: Int, _ start: Int, _ length: Int) throws -> Tensor {
        try aten.narrow(self, dim, start, length)
    }
    /// Views of the given sizes, one after the other along `dim`.
    public func split(_ sizes: [Int], dim: Int) throws -> [Tensor] {
        try aten.split.all(self, sizes, dim, capacity: sizes.count)
    }
    /// The elements of `dim` that `index` names, in its order.
    public func indexSelect(_ dim: Int, _ index: Tensor) throws -> Tensor { try aten.indexSelect(self, dim, index) }

    public func to(_ dtype: DType) throws -> Tensor {
        dtype == self.dtype ? self : try aten.toCopy(self, dtype)
    }
    public func to(_ device: Device) throws -> Tensor {
        device == self.device ? self : try aten.toCopy(self, Omitted(), Omitted(), device)
    }
}

/// The tensors one after the other along `dim`.
public func concatenated(_ tensors: [Tensor], dim: Int = 0) throws -> Tensor { try aten.cat(tensors, dim) }

extension aten {
    static let view = Operator("view(Tensor(a) self, SymInt[] size) -> Tensor(a)")
    static let reshape = Operator("reshape(Tensor(a) self, SymInt[] shape) -> Tensor(a)")
    static let transpose = Operator("transpose.int(Tensor(a) self, int dim0, int dim1) -> Tensor(a)")
    static let contiguous = Operator(
        "contiguous(Tensor(a) self, *, MemoryFormat memory_format=0) -> Tensor(a)"
    )
    static let unsqueeze = Operator("unsqueeze(Tensor(a) self, int dim) -> Tensor(a)")
    static let detach = Operator("detach(Tensor(a) self) -> Tensor(a)")
    static let clone = Operator("clone(Tensor self, *, MemoryFormat? memory_format=None) -> Tensor")
    static let narrow = Operator("narrow(Tensor(a) self, int dim, SymInt start, SymInt length) -> Tensor(a)")
    static let split = Operator(
        "split_with_sizes(Tensor(a -> *) self, SymInt[] split_sizes, int dim=0) -> Tensor(a)[]"
    )
    static let indexSelect = Operator("index_select(Tensor self, int dim, Tensor index) -> Tensor")
    static let cat = Operator("cat(Tensor[] tensors, int dim=0) -> Tensor")
    static let toCopy = Operator(
        """
        _to_copy(Tensor self, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, \
        bool? pin_memory=None, bool non_blocking=False, MemoryFormat? memory_format=None) -> Tensor
        """
    )
}
