// Writing safetensors files, byte for byte as the reference implementation writes them.

import Foundation

/// Writes safetensors files.
public enum SafetensorsWriter {
    /// A tensor to be written.
    public struct Entry {
        let name: String
        let type: ElementType
        let shape: [Int]
        let data: () throws -> Data

        /// A tensor whose bytes, little-endian and row-major, are at hand.
        public init(name: String, type: ElementType, shape: [Int], data: Data) {
            self.init(name: name, type: type, shape: shape) { data }
        }

        /// A tensor whose bytes are made when its turn comes, so that a large model is never in memory at once.
        public init(name: String, type: ElementType, shape: [Int], produce: @escaping () throws -> Data) {
            (self.name, self.type, self.shape, data) = (name, type, shape, produce)
        }

        /// A tensor of floats.
        public init(name: String, shape: [Int], floats: [Float]) {
            self.init(name: name, type: .f32, shape: shape) {
                floats.map(\.bitPattern.littleEndian).withUnsafeBytes { Data($0) }
            }
        }
    }

    /// Writes the tensors and the metadata; the same input gives the same bytes, and the file appears whole or not.
    public static func write(_ entries: [Entry], metadata: [String: String] = [:], to url: URL) throws {
        try AtomicFile.write(to: url) { file in
            try serialize(entries, metadata: metadata, for: url) { try file.write($0) }
        }
    }

    /// Gives the bytes of such a file in order: those of the header first, then each tensor's.
    ///
    /// - Parameter url: the file that errors name.
    public static func serialize(
        _ entries: [Entry], metadata: [String: String] = [:], for url: URL, _ body: (Data) throws -> Void
    ) throws {
        let sorted = entries.sorted(by: precedes)
        try body(header(sorted, metadata, path: url.shownPath))
        for entry in sorted {
            let data = try entry.data()
            guard data.count == entry.type.byteCount(shape: entry.shape) else {
                throw FormatsError.inconsistent(
                    path: url.shownPath, place: entry.name,
                    problem: "\(data.count.grouped) bytes given for shape \(entry.shape) of \(entry.type)")
            }
            try body(data)
        }
    }

    /// The types of the format in its own order; wider ones come first in a file, so that every tensor is aligned.
    static let order: [ElementType] = [.bool, .u8, .i8, .i16, .f16, .bf16, .i32, .f32, .f64, .i64]

    private static func precedes(_ one: Entry, _ other: Entry) -> Bool {
        let places = (order.firstIndex(of: one.type) ?? 0, order.firstIndex(of: other.type) ?? 0)
        if places.0 != places.1 { return places.0 > places.1 }
        return one.name.utf8.lexicographicallyPrecedes(other.name.utf8)
    }

    private static func header(_ entries: [Entry], _ metadata: [String: String], path: String) throws -> Data {
        var members = metadata.isEmpty ? [] : ["\"__metadata__\":\(object(metadata))"]
        var names: Set<String> = ["__metadata__"]
        var begin = 0
        for entry in entries {
            let count = entry.type.byteCount(shape: entry.shape)
            let end = count.map(begin.addingReportingOverflow)
            let problem: String? =
                if !names.insert(entry.name).inserted {
                    "this name is taken"
                } else if !order.contains(entry.type) {
                    "safetensors has no type \(entry.type)"
                } else {
                    end?.overflow == false ? nil : "shape \(entry.shape) is impossible"
                }
            guard problem == nil, let end else {
                throw FormatsError.inconsistent(path: path, place: entry.name, problem: problem ?? "")
            }
            let shape = entry.shape.map(String.init).joined(separator: ",")
            members.append(
                "\(quoted(entry.name)):{\"dtype\":\"\(entry.type)\",\"shape\":[\(shape)],"
                    + "\"data_offsets\":[\(begin),\(end.partialValue)]}")
            begin = end.partialValue
        }
        var json = Data("{\(members.joined(separator: ","))}".utf8)
        json.append(contentsOf: repeatElement(0x20, count: (8 - json.count % 8) % 8))
        return withUnsafeBytes(of: UInt64(json.count).littleEndian) { Data($0) } + json
    }

    private static func object(_ texts: [String: String]) -> String {
        let pairs = texts.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
        return "{\(pairs.map { "\(quoted($0.key)):\(quoted($0.value))" }.joined(separator: ","))}"
    }

    private static func quoted(_ text: String) -> String {
        text.unicodeScalars.reduce(into: "\"") { quoted, scalar in
            switch scalar.value {
            case 0x22: quoted += "\\\""
            case 0x5C: quoted += "\\\\"
            case 0x08: quoted += "\\b"
            case 0x0C: quoted += "\\f"
            case 0x0A: quoted += "\\n"
            case 0x0D: quoted += "\\r"
            case 0x09: quoted += "\\t"
            case 0..<0x20: quoted += "\\u00" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
            default: quoted.unicodeScalars.append(scalar)
            }
        } + "\""
    }
}
