// One safetensors file: 8 bytes with the length of a JSON header, the header, the tensors.
// Format: https://github.com/huggingface/safetensors/blob/main/README.md

import Foundation

/// The tensors of one memory-mapped safetensors file.
public struct SafetensorsFile: Sendable {
    /// The mapped file.
    public let file: MappedFile
    /// The tensors by name.
    public let tensors: [String: StoredTensor]
    /// The header's `__metadata__`.
    public let metadata: [String: String]

    /// The longest header that is read, as in the reference implementation.
    static let longestHeader = 100_000_000

    /// Opens a file and checks its whole header.
    public init(_ url: URL) throws {
        let file = try MappedFile(url)
        let (entries, metadata, headerLength) = try withExtendedLifetime(file) {
            let header = try Self.header(of: file)
            let (entries, metadata) = try Self.parse(header, of: file)
            return (entries, metadata, header.count)
        }
        tensors = try Self.tensors(entries, start: 8 + headerLength, of: file)
        self.file = file
        self.metadata = metadata
    }

    /// A required tensor.
    public func tensor(_ name: String) throws -> StoredTensor {
        if let tensor = tensors[name] { return tensor }
        throw FormatsError.missing(
            path: file.url.shownPath, place: name, problem: "the file has no such tensor",
            remedy: "is it the right file, and whole? It has \(tensors.count.grouped) tensors")
    }

    private static func header(of file: MappedFile) throws -> UnsafeRawBufferPointer {
        func damaged(_ problem: String) -> FormatsError {
            .damaged(path: file.url.shownPath, place: nil, problem: problem)
        }
        guard file.count >= 8 else {
            throw damaged("\(file.count.grouped) bytes are too few for a safetensors file")
        }
        let length = UInt64(littleEndian: file.unguardedBytes.loadUnaligned(as: UInt64.self))
        guard length <= UInt64(file.count - 8) else {
            throw damaged("the header says \(length.grouped) bytes, the file has \(file.count.grouped)")
        }
        guard length <= UInt64(longestHeader) else {
            throw damaged("a header of \(length.grouped) bytes, at most \(longestHeader.grouped) are read")
        }
        return try file.bytes(at: 8, count: Int(length))
    }
}

extension SafetensorsFile {
    /// A tensor as the header describes it; `begin` and `end` count from the end of the header.
    private struct Entry {
        var name: String
        var type: ElementType
        var shape: [Int]
        var begin: Int
        var end: Int
    }

    private static func parse(
        _ header: UnsafeRawBufferPointer, of file: MappedFile
    ) throws -> (entries: [Entry], metadata: [String: String]) {
        var entries: [Entry] = []
        var metadata: [String: String] = [:]
        var names: Set<String> = []
        var json = HeaderJSON(header)
        do {
            try json.object { json, name in
                guard names.insert(name).inserted else { throw json.problem("'\(name.onOneLine)' appears twice") }
                if name == "__metadata__" {
                    metadata = try texts(&json)
                } else {
                    entries.append(try entry(&json, name, file))
                }
            }
            try json.end()
        } catch let problem as HeaderProblem {
            throw FormatsError.damaged(
                path: file.url.shownPath, place: "header, byte \((8 + problem.position).grouped)",
                problem: problem.problem)
        }
        return (entries, metadata)
    }

    private static func texts(_ json: inout HeaderJSON) throws -> [String: String] {
        var texts: [String: String] = [:]
        try json.object { json, key in
            guard texts.updateValue(try json.string(), forKey: key) == nil else {
                throw json.problem("the metadata key '\(key.onOneLine)' appears twice")
            }
        }
        return texts
    }

    private static func entry(_ json: inout HeaderJSON, _ name: String, _ file: MappedFile) throws -> Entry {
        var type: String?
        var shape: [Int]?
        var offsets: [Int]?
        try json.object { json, key in
            switch key {
            case "dtype": type = try json.string()
            case "shape": shape = try json.naturals()
            case "data_offsets": offsets = try json.naturals()
            default: try json.skip()
            }
        }
        guard let type, let shape, let offsets, offsets.count == 2 else {
            throw json.problem("'\(name.onOneLine)' lacks its dtype, its shape or its two data_offsets")
        }
        return Entry(
            name: name, type: try element(type, name, file), shape: shape, begin: offsets[0], end: offsets[1])
    }

    private static func element(_ type: String, _ name: String, _ file: MappedFile) throws -> ElementType {
        if let type = ElementType(rawValue: type), SafetensorsWriter.order.contains(type) { return type }
        throw FormatsError.unsupported(
            path: file.url.shownPath, place: name, problem: "stored as \(type.onOneLine), which lora does not read",
            remedy: "use a file of type F32, F16 or BF16")
    }

    /// Checks that the tensors fill the rest of the file without holes and overlaps, as the format demands.
    private static func tensors(_ entries: [Entry], start: Int, of file: MappedFile) throws -> [String: StoredTensor] {
        var tensors: [String: StoredTensor] = [:]
        tensors.reserveCapacity(entries.count)
        var end = 0
        for entry in entries.sorted(by: { ($0.begin, $0.end) < ($1.begin, $1.end) }) {
            if let problem = problem(of: entry, after: end, space: file.count - start) {
                throw FormatsError.damaged(path: file.url.shownPath, place: entry.name, problem: problem)
            }
            tensors[entry.name] = try StoredTensor(
                name: entry.name, type: entry.type, shape: entry.shape, file: file, offset: start + entry.begin)
            end = entry.end
        }
        guard end == file.count - start else {
            throw FormatsError.damaged(
                path: file.url.shownPath, place: nil,
                problem: "the tensors end at byte \((start + end).grouped), the file at \(file.count.grouped)")
        }
        return tensors
    }

    /// What contradicts itself in an entry that should begin where the one before it ends, with `space` bytes in all.
    private static func problem(of entry: Entry, after end: Int, space: Int) -> String? {
        guard entry.begin == end, entry.end >= entry.begin else {
            return "its bytes are \(entry.begin.grouped) to \(entry.end.grouped), the tensor before it ends at "
                + end.grouped
        }
        guard entry.end <= space else {
            return "its bytes end at \(entry.end.grouped), the file has \(space.grouped) after the header"
        }
        let (expected, given) = (entry.type.byteCount(shape: entry.shape), entry.end - entry.begin)
        guard expected != given else { return nil }
        let takes = expected.map { "\($0.grouped) bytes" } ?? "more than any file can hold"
        return "shape \(entry.shape) of \(entry.type) takes \(takes), its data_offsets give \(given.grouped)"
    }
}
