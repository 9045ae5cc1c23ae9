// Automatic differentiation: recording, gradients, checkpointing.

import CTorch

extension Tensor {
    /// Whether gradients are computed for this tensor.
    public var requiresGrad: Bool { ctorch_requires_grad(handle) != 0 }

    /// Asks for gradients, and returns the tensor itself.
    @discardableResult
    public func requiresGrad(_ on: Bool) throws -> Tensor {
        try check(ctorch_set_requires_grad(handle, on ? 1 : 0))
        return self
    }

    /// Adds the gradient of this tensor to `grad` of everything it depends on.
    ///
    /// - Parameter gradient: the gradient of this tensor itself; needed unless it is a single number.
    public func backward(_ gradient: Tensor? = nil) throws {
        try withExtendedLifetime((self, gradient)) { try check(ctorch_backward(handle, gradient?.handle)) }
    }

    /// The gradient gathered so far.
    public var grad: Tensor? {
        var out: CTorchTensor?
        guard ctorch_grad(handle, &out) == CTORCH_OK else { return nil }
        return out.map(Tensor.init(owning:))
    }

    /// Forgets the gradient, or sets it.
    public func setGrad(_ gradient: Tensor?) throws {
        try withExtendedLifetime((self, gradient)) { try check(ctorch_set_grad(handle, gradient?.handle)) }
    }
}

/// Runs `body` without recording gradients on this thread.
public func withoutGradients<R>(_ body: () throws -> R) rethrows -> R {
    let former = ctorch_set_grad_enabled(0)
    defer { _ = ctorch_set_grad_enabled(former) }
    return try body()
}

/// Computes `body(input)` without keeping what backward needs; backward computes it once more.
///
/// Parameters used inside `body` gather their gradients as usual. `body` must give the same result both times. The
/// way back runs only where `input` requires gradients.
public func checkpoint(_ input: Tensor, _ body: @escaping (Tensor) throws -> Tensor) throws -> Tensor {
    final class Body {
        let run: (Tensor) throws -> Tensor
        init(_ run: @escaping (Tensor) throws -> Tensor) { self.run = run }
    }
    var out: CTorchTensor?
    let status = ctorch_checkpoint(
        { context, input, out in
            guard let context, let input, let out else { return CTorchStatus(CTORCH_FAILED) }
            let body = Unmanaged<Body>.fromOpaque(context).takeUnretainedValue()
            do {
                let result = try body.run(Tensor(owning: ctorch_retain(input)))
                out.pointee = ctorch_retain(result.handle)
                return CTorchStatus(CTORCH_OK)
            } catch TorchError.outOfMemory(let message) {
                ctorch_set_last_error(message)  // known as such by its words; the advice is added once, outside
                return CTorchStatus(CTORCH_FAILED)
            } catch {
                ctorch_set_last_error("\(error)")
                return CTorchStatus(CTORCH_FAILED)
            }
        },
        Unmanaged.passRetained(Body(body)).toOpaque(),
        { context in
            guard let context else { return }
            Unmanaged<Body>.fromOpaque(context).release()
        },
        input.handle, &out
    )
    try withExtendedLifetime(input) { try check(status) }
    return Tensor(owning: try out.orThrow())
}
