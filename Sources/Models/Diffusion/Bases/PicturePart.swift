// One network of a picture model before it is loaded: its configuration and its tensors, where they are stored.

import Formats
import Foundation
import NN

/// A text encoder, UNet or autoencoder that has been found, not loaded.
public struct PicturePart<Config: Sendable>: Sendable {
    /// What the network is made of.
    public let config: Config
    /// The files that decide what it computes.
    public let files: [URL]
    /// Where its tensors lie, by the keys that the model has here.
    public let tensors: [String: StoredTensor]
    /// The file or folder, for messages.
    let path: String

    /// Bytes of all tensors as they are stored.
    public var byteCount: Int { tensors.values.reduce(0) { $0 + $1.byteCount } }

    /// Bytes of the tensors by how their elements are stored.
    public var elementTypes: [ElementType: Int] {
        tensors.values.reduce(into: [:]) { $0[$1.type, default: 0] += $1.byteCount }
    }

    /// Fills a model, after checking all keys and shapes.
    func fill(_ model: Module, on placement: Placement) throws {
        let shapes = Dictionary(uniqueKeysWithValues: model.slots().map { ($0.key, $0.slot.shape) })
        let sources = try Dictionary(
            uniqueKeysWithValues: tensors.map { key, tensor in
                (key, WeightSource(try Self.matrix(tensor, where: shapes[key]?.count == 2)))
            })
        try StoredModel(name: path, sources: sources).load(into: model, on: placement)
    }

    /// The same elements as a matrix, where a matrix is wanted and a convolution of one pixel is stored.
    private static func matrix(_ tensor: StoredTensor, where isWanted: Bool) throws -> StoredTensor {
        guard isWanted, tensor.shape.count == 4, tensor.shape.suffix(2) == [1, 1] else { return tensor }
        return try tensor.part(shape: Array(tensor.shape.prefix(2)))
    }
}

extension StoredTensor {
    /// A part of the tensor's elements in another shape.
    func part(shape: [Int], atElement start: Int = 0) throws -> StoredTensor {
        try StoredTensor(name: name, type: type, shape: shape, file: file, offset: offset + start * type.blockBytes)
    }
}

extension [String: StoredTensor] {
    /// The tensors by other names; a tensor with several names is cut into as many parts of equal rows, one with none
    /// left out.
    func renamed(in path: String, _ names: (String) -> [String]) throws -> [String: StoredTensor] {
        var tensors: [String: StoredTensor] = [:]
        for (stored, tensor) in self {
            let names = names(stored)
            for (index, name) in names.enumerated() {
                let part = names.count == 1 ? tensor : try tensor.rows(part: index, of: names.count)
                guard tensors.updateValue(part, forKey: name) == nil else {
                    throw NNError.mismatch(file: path, problems: ["'\(name)' is stored twice, under two names"])
                }
            }
        }
        return tensors
    }

    /// The tensors whose names begin with `prefix`, without it.
    func below(_ prefix: String) -> [String: StoredTensor] {
        reduce(into: [:]) { tensors, entry in
            if entry.key.hasPrefix(prefix) { tensors[String(entry.key.dropFirst(prefix.count))] = entry.value }
        }
    }
}

extension StoredTensor {
    /// Every `count`-th of the rows, the `index`-th such part.
    fileprivate func rows(part index: Int, of count: Int) throws -> StoredTensor {
        guard let rows = shape.first, rows.isMultiple(of: count), type.blockSize == 1 else {
            throw NNError.mismatch(
                file: file.url.path, problems: ["'\(name)' is \(shape), \(count) parts of equal rows expected"])
        }
        return try part(shape: [rows / count] + shape.dropFirst(), atElement: index * (elementCount / count))
    }
}
