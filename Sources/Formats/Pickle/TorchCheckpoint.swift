// Checkpoints that `torch.save` wrote: .ckpt, .pt, .bin. An archive of one pickle, which says which tensors there are,
// and a file of bytes for each storage.
// Format: https://github.com/pytorch/pytorch/blob/main/torch/serialization.py

import Foundation

/// The tensors of one memory-mapped checkpoint of PyTorch; nothing in it is ever run.
public struct TorchCheckpoint: Sendable {
    /// The mapped file.
    public let file: MappedFile
    /// The tensors of `state_dict`, or of the whole where there is none, by name.
    public let tensors: [String: StoredTensor]
    /// Whole numbers beside the tensors, such as `global_step`.
    public let integers: [String: Int]

    /// Whether a file begins as checkpoints do.
    public static func isOne(_ file: MappedFile) -> Bool {
        file.withBytes { head in
            let isPickle = head.count > 1 && head[0] == 0x80 && (2...5).contains(head[1])
            return isPickle || head.starts(with: [0x50, 0x4B, 0x03, 0x04])
        }
    }

    /// Reads the list of contents and the pickle, and checks where every tensor lies.
    public init(_ url: URL) throws {
        let file = try MappedFile(url)
        guard file.withBytes({ $0.starts(with: [0x50, 0x4B]) }) else { throw Self.notAnArchive(file) }
        let archive = try ZipArchive(file)
        guard let name = archive.entries.keys.first(where: { $0.hasSuffix("/data.pkl") }),
            let entry = archive.entries[name]
        else {
            throw FormatsError.unsupported(
                path: url.shownPath, place: nil, problem: "a ZIP archive, but not one of PyTorch's: it has no data.pkl",
                remedy: "unpack it and name what is in it")
        }
        var machine = try PickleMachine(file, archive.range(of: entry))
        guard let index = try machine.run().dictionary else {
            throw FormatsError.unsupported(
                path: url.shownPath, place: nil, problem: "a checkpoint that is not a dictionary of tensors",
                remedy: "save the model's state_dict() with torch.save")
        }
        let outer = machine.members(of: index)
        let inner = outer["state_dict"]?.dictionary.map { machine.members(of: $0) } ?? outer
        var reader = PickledTensorReader(archive, folder: String(name.dropLast("data.pkl".count)))
        try reader.checkByteOrder()
        tensors = try Dictionary(
            uniqueKeysWithValues: inner.compactMap { name, value in
                guard case .tensor(let tensor) = value else { return nil }
                return (name, try reader.stored(tensor, name))
            })
        integers = outer.compactMapValues(\.integer)
        self.file = file
    }

    private static func notAnArchive(_ file: MappedFile) -> FormatsError {
        let isOld = isOne(file)
        return .unsupported(
            path: file.url.shownPath, place: nil,
            problem: isOld
                ? "a checkpoint in PyTorch's format before 1.6, or a bare pickle" : "not a checkpoint of PyTorch",
            remedy: isOld
                ? "use the .safetensors file, or write it anew: torch.save(torch.load(FILE, weights_only=True), NEW)"
                : "fetch the file again")
    }
}

extension PickleMachine {
    /// A dictionary's values by their keys, as far as those are texts; of equal keys, the last.
    fileprivate func members(of index: Int) -> [String: PickleValue] {
        dictionaries[index].reduce(into: [:]) { values, pair in
            if case .text(let key) = pair.key { values[key] = pair.value }
        }
    }
}

/// Finds tensors in the archive.
private struct PickledTensorReader {
    private let archive: ZipArchive
    /// With its `/`.
    private let folder: String
    private var places: [String: Range<Int>] = [:]
    /// Bytes of tensors that had to be put in order; never more than the file has.
    private var copied = 0

    init(_ archive: ZipArchive, folder: String) {
        (self.archive, self.folder) = (archive, folder)
    }

    private var path: String { archive.file.url.shownPath }

    private func damaged(_ name: String, _ problem: String) -> FormatsError {
        .damaged(path: path, place: name, problem: problem)
    }

    /// Refuses what a machine wrote whose numbers begin with the largest part.
    func checkByteOrder() throws {
        guard let entry = archive.entries[folder + "byteorder"] else { return }
        let range = try archive.range(of: entry)
        guard try archive.file.bytes(at: range.lowerBound, count: range.count).elementsEqual("big".utf8) else { return }
        throw FormatsError.unsupported(
            path: path, place: nil, problem: "written by a big-endian machine",
            remedy: "write it anew on a current one, or use the .safetensors file")
    }

    /// The tensor as it lies in the file, or a copy where its elements lie in another order.
    mutating func stored(_ tensor: PickledTensor, _ name: String) throws -> StoredTensor {
        let storage = tensor.storage, size = storage.type.blockBytes
        let range = try place(of: storage, name)
        guard let count = ElementType.elementCount(tensor.shape) else {
            throw damaged(name, "a tensor of shape \(tensor.shape)")
        }
        let elements = range.count / size
        guard let reach = Self.reach(tensor), tensor.offset >= 0, reach <= elements - tensor.offset else {
            throw damaged(
                name,
                "shape \(tensor.shape) with strides \(tensor.strides) from element \(tensor.offset.grouped) on "
                    + "reaches beyond its \(elements.grouped) elements")
        }
        let file = archive.file, offset = range.lowerBound + tensor.offset * size
        if count == 0 || tensor.strides.isContiguous(tensor.shape) {
            return try StoredTensor(name: name, type: storage.type, shape: tensor.shape, file: file, offset: offset)
        }
        guard count <= reach, count * size <= file.count - copied else {
            throw FormatsError.unsupported(
                path: path, place: name, problem: "its shape \(tensor.shape) repeats the elements that are stored",
                remedy: "save it anew with .contiguous()")
        }
        copied += count * size
        let ordered = try MappedFile(copyOf: file, count: count * size) { target in
            let source = UnsafeRawBufferPointer(rebasing: file.unguardedBytes[offset..<(offset + reach * size)])
            Self.copy(source, tensor, size, to: target)
        }
        return try StoredTensor(name: name, type: storage.type, shape: tensor.shape, file: ordered, offset: 0)
    }

    private mutating func place(of storage: PickledStorage, _ name: String) throws -> Range<Int> {
        if let range = places[storage.key] { return range }
        guard let entry = archive.entries["\(folder)data/\(storage.key)"] else {
            throw damaged(name, "the archive has no data/\(storage.key.onOneLine), which should hold it")
        }
        let range = try archive.range(of: entry)
        places[storage.key] = range
        return range
    }

    /// Elements from the first to the last that a tensor touches; nil where its numbers are impossible.
    private static func reach(_ tensor: PickledTensor) -> Int? {
        if tensor.shape.contains(0) { return 0 }
        var last = 0
        for (size, stride) in zip(tensor.shape, tensor.strides) {
            let (way, tooWide) = (size - 1).multipliedReportingOverflow(by: stride)
            let (sum, tooFar) = last.addingReportingOverflow(way)
            guard stride >= 0, !tooWide, !tooFar, sum < Int.max else { return nil }
            last = sum
        }
        return last + 1
    }

    /// Writes the elements row by row.
    private static func copy(
        _ source: UnsafeRawBufferPointer, _ tensor: PickledTensor, _ size: Int, to target: UnsafeMutableRawBufferPointer
    ) {
        var index = Array(repeating: 0, count: tensor.shape.count)
        var place = 0
        for start in stride(from: 0, to: target.count, by: size) {
            target[start..<(start + size)].copyBytes(from: source[(place * size)..<((place + 1) * size)])
            for dimension in tensor.shape.indices.reversed() {
                index[dimension] += 1
                place += tensor.strides[dimension]
                guard index[dimension] == tensor.shape[dimension] else { break }
                place -= index[dimension] * tensor.strides[dimension]
                index[dimension] = 0
            }
        }
    }
}

extension [Int] {
    /// Whether these are the strides of a row-major tensor of `shape`; dimensions of one element have any.
    fileprivate func isContiguous(_ shape: [Int]) -> Bool {
        var expected = 1
        for (size, stride) in zip(shape, self).reversed() where size > 1 {
            guard stride == expected else { return false }
            expected *= size
        }
        return true
    }
}
