// GGUF files, versions 2 and 3: the metadata and the places of the tensors.
// Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md

import Foundation

/// A model in one memory-mapped GGUF file.
public struct GGUFFile: Sendable {
    /// The mapped file.
    public let file: MappedFile
    /// 2 or 3.
    public let version: Int
    /// What the file says of the model.
    public let metadata: [String: GGUFValue]
    /// The tensors by name.
    public let tensors: [String: StoredTensor]
    /// The names in the order of the file.
    public let tensorNames: [String]
    /// `general.architecture`: `llama`, `qwen2` …
    public let architecture: String
    /// What the tensors' offsets are multiples of.
    public let alignment: Int

    /// Opens a file and checks every size and offset in its header.
    public init(_ url: URL) throws {
        let file = try MappedFile(url)
        var reader = GGUFReader(file)
        version = try Self.version(&reader)
        // The least a tensor takes: 8 for the name's length, 4 for dimensions, 4 for the type, 8 for the offset.
        let tensorCount = try reader.count(ofSize: 24, "tensors", "header")
        let valueCount = try reader.count(ofSize: 13, "metadata values", "header")
        let metadata = try Self.metadata(&reader, count: valueCount)
        alignment = try Self.alignment(metadata, reader)
        try Self.refuseParts(metadata, reader)
        let entries = try Self.entries(&reader, count: tensorCount)
        tensors = try Self.tensors(entries, file: file, headerEnd: reader.position, alignment: alignment)
        tensorNames = entries.map(\.name)
        self.file = file
        self.metadata = metadata
        architecture = try Self.text("general.architecture", in: metadata, of: url)
    }

    /// A required integer.
    public func integer(_ key: String) throws -> Int { try required(key, "an integer", \.integer) }

    /// A required number, whole or not.
    public func real(_ key: String) throws -> Double { try required(key, "a number", \.real) }

    /// A required text.
    public func string(_ key: String) throws -> String { try required(key, "a text", \.string) }

    /// A required array of integers.
    public func integers(_ key: String) throws -> [Int] { try required(key, "an array of integers", \.integers) }

    /// A required array of texts.
    public func strings(_ key: String) throws -> GGUFStrings { try required(key, "an array of texts", \.strings) }

    /// A required tensor.
    public func tensor(_ name: String) throws -> StoredTensor {
        if let tensor = tensors[name] { return tensor }
        throw FormatsError.missing(
            path: file.url.shownPath, place: name, problem: "the file has no such tensor",
            remedy: "is it a \(architecture.onOneLine) model, and whole? It has \(tensors.count.grouped) tensors")
    }

    private func required<T>(_ key: String, _ expected: String, _ value: (GGUFValue) -> T?) throws -> T {
        try Self.required(key, expected, in: metadata, of: file.url, value)
    }

    private static func required<T>(
        _ key: String, _ expected: String, in metadata: [String: GGUFValue], of url: URL, _ value: (GGUFValue) -> T?
    ) throws -> T {
        guard let stored = metadata[key] else {
            throw FormatsError.missing(
                path: url.shownPath, place: key, problem: "the metadata lacks this key (\(expected))",
                remedy: "convert the model anew with a current llama.cpp")
        }
        guard let fitting = value(stored) else {
            throw FormatsError.damaged(
                path: url.shownPath, place: key, problem: "\(expected) expected, got \(stored.kind)")
        }
        return fitting
    }

    private static func text(_ key: String, in metadata: [String: GGUFValue], of url: URL) throws -> String {
        try required(key, "a text", in: metadata, of: url, \.string)
    }
}

extension GGUFFile {
    private static func version(_ reader: inout GGUFReader) throws -> Int {
        let magic = [UInt8](try reader.take(4, "header"))
        guard magic == Array("GGUF".utf8) else {
            throw FormatsError.unsupported(
                path: reader.file.url.shownPath, place: nil, problem: "not a GGUF file, which begins with \"GGUF\"",
                remedy: "name a .gguf file")
        }
        let version = try reader.number(UInt32.self, "header")
        if version == 2 || version == 3 { return Int(version) }
        let problem =
            switch (version, version.byteSwapped) {
            case (1, _): "GGUF version 1, of August 2023"
            case (_, 1...3): "a big-endian GGUF file, made for another kind of processor"
            default: "GGUF version \(version.grouped), lora reads 2 and 3"
            }
        throw FormatsError.unsupported(
            path: reader.file.url.shownPath, place: nil, problem: problem,
            remedy: "convert the model anew with a current llama.cpp, or fetch a newer file")
    }

    private static func metadata(_ reader: inout GGUFReader, count: Int) throws -> [String: GGUFValue] {
        var metadata: [String: GGUFValue] = [:]
        metadata.reserveCapacity(min(count, 4096))
        for index in 0..<count {
            let key = try reader.string("metadata key \(index + 1) of \(count)")
            let value = try reader.value(reader.number(UInt32.self, key), key: key)
            guard metadata.updateValue(value, forKey: key) == nil else {
                throw reader.damaged(key, "this metadata key appears twice")
            }
        }
        return metadata
    }

    private static func alignment(_ metadata: [String: GGUFValue], _ reader: GGUFReader) throws -> Int {
        guard let value = metadata["general.alignment"] else { return 32 }
        guard let alignment = value.integer, (1...(1 << 20)).contains(alignment), alignment.nonzeroBitCount == 1 else {
            let got = value.integer.map(\.grouped) ?? value.kind
            throw reader.damaged("general.alignment", "a power of two up to 1,048,576 expected, got \(got)")
        }
        return alignment
    }

    /// A model split over several files is not whole in any of them.
    private static func refuseParts(_ metadata: [String: GGUFValue], _ reader: GGUFReader) throws {
        guard let parts = metadata["split.count"]?.integer, parts > 1 else { return }
        let part = (metadata["split.no"]?.integer).map { "part \($0 &+ 1) of \(parts)" } ?? "one of \(parts) parts"
        throw FormatsError.unsupported(
            path: reader.file.url.shownPath, place: nil, problem: "\(part) of a split model",
            remedy: "join the parts with `llama-gguf-split --merge FIRST-PART OUT.gguf`")
    }

    /// A tensor as the header describes it; `offset` counts from the end of the header.
    private struct Entry {
        let name: String
        let type: ElementType
        let shape: [Int]
        let offset: UInt64
    }

    private static func entries(_ reader: inout GGUFReader, count: Int) throws -> [Entry] {
        var entries: [Entry] = []
        entries.reserveCapacity(count)
        for index in 0..<count {
            entries.append(try entry(&reader, "tensor \(index + 1) of \(count)"))
        }
        return entries
    }

    private static func entry(_ reader: inout GGUFReader, _ place: @autoclosure () -> String) throws -> Entry {
        let name = try reader.string(place())
        let dimensions = try reader.number(UInt32.self, name)
        guard dimensions <= 4 else { throw reader.damaged(name, "\(dimensions.grouped) dimensions, at most 4 exist") }
        let sizes = try (0..<dimensions).map { _ in
            let size = try reader.number(UInt64.self, name)
            guard let size = Int(exactly: size) else { throw reader.damaged(name, "a dimension of \(size.grouped)") }
            return size
        }
        let number = try reader.number(UInt32.self, name)
        guard let type = Int32(exactly: number).flatMap(ElementType.init(ggmlType:)) else {
            throw FormatsError.unsupported(
                path: reader.file.url.shownPath, place: name,
                problem: "stored as \(ElementType.unreadName(ggmlType: number)), which lora does not read",
                remedy: "use a file of type Q4_K_M, Q5_K_M, Q6_K, Q8_0, Q4_0, F16 or BF16")
        }
        return Entry(name: name, type: type, shape: sizes.reversed(), offset: try reader.number(UInt64.self, name))
    }

    private static func tensors(
        _ entries: [Entry], file: MappedFile, headerEnd: Int, alignment: Int
    ) throws -> [String: StoredTensor] {
        func damaged(_ place: String, _ problem: String) -> FormatsError {
            .damaged(path: file.url.shownPath, place: place, problem: problem)
        }
        let start = (headerEnd + alignment - 1) / alignment * alignment
        var tensors: [String: StoredTensor] = [:]
        tensors.reserveCapacity(entries.count)
        for entry in entries {
            guard let offset = Int(exactly: entry.offset), offset <= file.count, offset.isMultiple(of: alignment) else {
                throw damaged(
                    entry.name,
                    "its offset is \(entry.offset.grouped), a multiple of \(alignment) within "
                        + "\(file.count.grouped) bytes expected")
            }
            let tensor = try StoredTensor(
                name: entry.name, type: entry.type, shape: entry.shape, file: file, offset: start + offset)
            guard tensors.updateValue(tensor, forKey: entry.name) == nil else {
                throw damaged(entry.name, "two tensors have this name")
            }
        }
        try refuseOverlaps(tensors.values.filter { $0.byteCount > 0 }.sorted { $0.offset < $1.offset }, damaged)
        return tensors
    }

    private static func refuseOverlaps(
        _ tensors: [StoredTensor], _ damaged: (String, String) -> FormatsError
    ) throws {
        for (one, next) in zip(tensors, tensors.dropFirst()) where next.offset < one.offset + one.byteCount {
            throw damaged(next.name, "its bytes overlap those of \(one.name.onOneLine)")
        }
    }
}
