// Places in a model that a checkpoint fills: small arrays as dense tensors, matrices as they are stored.

import Formats
import Torch

/// A place in a model that a checkpoint fills. It knows its shape from the start, so that building a model of any size
/// takes no memory and cannot fail.
public protocol Slot: AnyObject {
    var shape: [Int] { get }
    func fill(_ source: WeightSource, on placement: Placement) throws
}

/// A stored tensor, and the order of its rows.
public struct WeightSource: Sendable {
    public let tensor: StoredTensor
    /// Rows of a head where GGUF has interleaved the halves of query and key heads; 0: Hugging Face's order.
    public let interleavedHead: Int

    public init(_ tensor: StoredTensor, interleavedHead: Int = 0) {
        (self.tensor, self.interleavedHead) = (tensor, interleavedHead)
    }
}

/// Where a model computes, and in which type.
public struct Placement: Sendable {
    public let device: Device
    public let dtype: DType

    public init(_ device: Device, _ dtype: DType) {
        (self.device, self.dtype) = (device, dtype)
    }
}

/// A small array: a norm's factors, a bias, an adapter's half.
public final class Parameter: Slot {
    public let shape: [Int]
    private var tensor: Tensor?

    public init(_ shape: Int...) { self.shape = shape }

    /// The tensor; filling the parameter comes before its first use.
    public var value: Tensor {
        get {
            guard let tensor else { preconditionFailure("a parameter of shape \(shape) is used before it is filled") }
            return tensor
        }
        set { tensor = newValue }
    }

    public func fill(_ source: WeightSource, on placement: Placement) throws {
        var floats = try source.tensor.floats()
        if source.interleavedHead > 0 {
            let stored = floats
            for row in floats.indices { floats[row] = stored[storedRow(row, head: source.interleavedHead)] }
        }
        tensor = try Tensor(floats, shape).to(placement.dtype).to(placement.device)
    }

    /// Where a row of Hugging Face's order is found in GGUF's.
    private func storedRow(_ row: Int, head: Int) -> Int {
        let within = row % head
        return row - within + 2 * (within % (head / 2)) + within / (head / 2)
    }
}

/// A matrix that is never trained: kept as it is stored, expanded when it is used.
///
/// A convolution's weights are a matrix, too: a row for each output channel.
public final class Weights: Slot {
    /// (outputs, inputs), or (outputs, inputs, kernel height, kernel width).
    public let shape: [Int]
    private var weight: StoredWeight?

    public init(_ outputs: Int, _ inputs: Int, kernel: [Int] = []) { shape = [outputs, inputs] + kernel }

    public var outputs: Int { shape[0] }
    /// Columns of the matrix.
    public var inputs: Int { shape.dropFirst().reduce(1, *) }

    /// The matrix as operators take it; filling comes before its first use.
    public var stored: StoredWeight {
        guard let weight else { preconditionFailure("weights of shape \(shape) are used before they are filled") }
        return weight
    }

    /// Maps the stored bytes into a tensor without copying them; on a device of its own memory, expands them there.
    public func fill(_ source: WeightSource, on placement: Placement) throws {
        let mapped = try Self.map(source.tensor, outputs, inputs, source.interleavedHead)
        guard placement.device != .cpu else {
            weight = mapped
            return
        }
        let dense = try expanded(mapped).to(placement.dtype).to(placement.device)
        weight = StoredWeight(dense, outputs: outputs, inputs: inputs)
    }

    private static func map(_ tensor: StoredTensor, _ outputs: Int, _ inputs: Int, _ head: Int) throws -> StoredWeight {
        guard let type = tensor.type.ggmlType, ![.i8, .i16, .i32, .i64, .f64].contains(tensor.type) else {
            throw NNError.unusableType(tensor: tensor.name, type: tensor.type.name, file: tensor.file.url.path)
        }
        let bytes = try tensor.bytes()
        guard let base = bytes.baseAddress else { throw NNError.empty(tensor: tensor.name) }
        let file = tensor.file
        let isPlain = tensor.type == .f32 && head == 0 && Int(bitPattern: base).isMultiple(of: 4)
        let data = try Tensor(
            borrowing: base, isPlain ? [outputs, inputs] : [bytes.count], isPlain ? .float32 : .uint8
        ) { withExtendedLifetime(file) {} }
        return StoredWeight(
            data, ggmlType: isPlain ? nil : Int(type), outputs: outputs, inputs: inputs, interleavedHead: head
        )
    }
}

/// What is wrong with a checkpoint for the model it is loaded into.
public enum NNError: Error, CustomStringConvertible {
    case unusableType(tensor: String, type: String, file: String)
    case empty(tensor: String)
    case mismatch(file: String, problems: [String])

    public var description: String {
        switch self {
        case .unusableType(let tensor, let type, let file):
            "\(file): \(tensor): stored as \(type); a weight must be F32, F16, BF16 or one of GGUF's blocks"
        case .empty(let tensor): "\(tensor): has no elements"
        case .mismatch(let file, let problems):
            "\(file): does not fit the model it says it is: " + problems.prefix(8).joined(separator: "; ")
                + (problems.count > 8 ? "; and \(problems.count - 8) more" : "") + "; is the download complete?"
        }
    }
}
