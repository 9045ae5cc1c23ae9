// A tensor of libtorch, owned by Swift.

import CTorch

/// An n-dimensional array on a device, as libtorch keeps it.
///
/// One Swift object owns one reference to libtorch's own tensor. Not `Sendable`: a job that computes stays on one
/// thread.
public final class Tensor {
    let handle: CTorchTensor

    init(owning handle: CTorchTensor) { self.handle = handle }
    deinit { ctorch_release(handle) }

    /// The size of each dimension.
    public var shape: [Int] {
        withExtendedLifetime(self) {
            let sizes = UnsafeBufferPointer(start: ctorch_shape(handle), count: Int(ctorch_rank(handle)))
            return sizes.map(Int.init)
        }
    }

    /// Elements in all.
    public var count: Int { shape.reduce(1, *) }

    /// The type of the elements.
    public var dtype: DType {
        guard let dtype = DType(rawValue: ctorch_dtype(handle)) else {
            preconditionFailure("a tensor of libtorch's type \(ctorch_dtype(handle)), which nothing here makes")
        }
        return dtype
    }

    /// Where the tensor lives.
    public var device: Device {
        var (type, index): (Int32, Int32) = (0, 0)
        ctorch_device(handle, &type, &index)
        return Device(Device.Kind(rawValue: type) ?? .cpu, max(0, Int(index)))
    }
}

// MARK: - Elements in and out

extension Tensor {
    /// Copies `values` into a tensor of `shape` on the CPU.
    public convenience init<Element: TensorElement>(_ values: [Element], _ shape: [Int]? = nil) throws {
        let shape = shape ?? [values.count]
        guard Self.count(of: shape) == values.count else {
            throw TorchError.failed("\(values.count) values do not fill a tensor of shape \(shape)")
        }
        let memory = UnsafeMutablePointer<Element>.allocate(capacity: max(1, values.count))
        memory.initialize(from: values, count: values.count)
        nonisolated(unsafe) let owned = memory  // handed over: nothing else frees it
        try self.init(borrowing: memory, shape, Element.dtype) { owned.deallocate() }
    }

    /// The elements of a shape; nil where a dimension is negative or the product overflows.
    private static func count(of shape: [Int]) -> Int? {
        guard shape.allSatisfy({ $0 >= 0 }) else { return nil }
        if shape.contains(0) { return 0 }
        var count = 1
        for size in shape {
            let (product, overflows) = count.multipliedReportingOverflow(by: size)
            if overflows { return nil }
            count = product
        }
        return count
    }

    /// Wraps memory that stays valid until `release` is called, without copying it.
    ///
    /// `release` is called once: when the last tensor that uses the memory goes, or at once where this throws.
    public convenience init(
        borrowing memory: UnsafeRawPointer, _ shape: [Int], _ dtype: DType, release: @escaping @Sendable () -> Void
    ) throws {
        final class Release {
            let body: @Sendable () -> Void
            init(_ body: @escaping @Sendable () -> Void) { self.body = body }
        }
        let context = Unmanaged.passRetained(Release(release))
        var out: CTorchTensor?
        let status = ctorch_from_blob(
            UnsafeMutableRawPointer(mutating: memory), shape.map(Int64.init), Int64(shape.count), dtype.rawValue,
            { context in
                guard let context else { return }
                Unmanaged<Release>.fromOpaque(context).takeRetainedValue().body()
            },
            context.toOpaque(), &out
        )
        try check(status)
        self.init(owning: try out.orThrow())
    }

    /// The elements, brought to the CPU and to `Element`'s type, in row-major order.
    public func array<Element: TensorElement>(_: Element.Type = Element.self) throws -> [Element] {
        let plain = try withoutGradients { try detach().to(.cpu).to(Element.dtype).contiguous() }
        return try plain.withBytes { Array($0.bindMemory(to: Element.self)) }
    }

    /// The only element.
    public func item() throws -> Double {
        let values = try array(Double.self)
        guard values.count == 1 else { throw TorchError.failed("item() of a tensor of shape \(shape)") }
        return values[0]
    }

    /// Calls `body` with the memory of a contiguous CPU tensor.
    public func withBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) throws -> R {
        var data: UnsafeMutableRawPointer?
        try check(ctorch_data(handle, &data))
        return try withExtendedLifetime(self) {
            try body(UnsafeRawBufferPointer(start: data, count: count * dtype.size))
        }
    }
}

/// A Swift number that is an element of tensors.
public protocol TensorElement: BitwiseCopyable, Sendable {
    /// The tensor's name for this type.
    static var dtype: DType { get }
}
extension Float: TensorElement { public static var dtype: DType { .float32 } }
extension Double: TensorElement { public static var dtype: DType { .float64 } }
extension Int: TensorElement { public static var dtype: DType { .int64 } }
extension Int32: TensorElement { public static var dtype: DType { .int32 } }
extension UInt8: TensorElement { public static var dtype: DType { .uint8 } }

extension Optional where Wrapped == CTorchTensor {
    func orThrow() throws -> CTorchTensor {
        guard let self else { throw TorchError.failed("libtorch gave no tensor where one was expected") }
        return self
    }
}
