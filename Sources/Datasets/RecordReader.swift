// Finds the data files of a path and reads their records.

import Foundation

/// A data file that was read.
public struct DataFile: Sendable, Equatable {
    /// As given, or relative to the given folder.
    public let path: String
    /// Where the file lies.
    public let url: URL
    /// The file's size.
    public let bytes: Int
}

/// How a plain text file is divided into samples.
public enum TextUnit: String, Sendable, Codable, CaseIterable {
    /// Blank lines stand between samples.
    case paragraph
    /// Each line is a sample.
    case line
    /// The whole file is one sample.
    case file
}

/// Reads every record of a file or folder.
struct RecordReader {
    let textUnit: TextUnit
    private(set) var files: [DataFile] = []
    private(set) var records: [DataRecord] = []
    private(set) var warnings: [String] = []

    static let extensions = ["jsonl", "ndjson", "json", "csv", "tsv", "txt", "text"]

    init(_ path: URL, textUnit: TextUnit) throws {
        self.textUnit = textUnit
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path.path, isDirectory: &isFolder) else {
            throw DatasetError.file(path.path, problem: "no such file or folder; check the path of the training data")
        }
        for (url, name) in isFolder.boolValue ? try filesOf(path) : [(path, path.lastPathComponent)] {
            try read(url, name: name)
        }
        guard !records.isEmpty else {
            throw DatasetError.empty(
                path.path,
                problem: "the data is empty (\(counted(files.count, "file")), no samples); expected at least one sample"
            )
        }
    }

    private mutating func filesOf(_ folder: URL) throws -> [(URL, String)] {
        guard let names = FileManager.default.enumerator(atPath: folder.path) else {
            throw DatasetError.file(folder.path, problem: "the folder cannot be read; check its permissions")
        }
        let visible = names.compactMap { $0 as? String }.filter { name in
            !name.split(separator: "/").contains { $0.hasPrefix(".") }
                && (try? folder.appendingPathComponent(name).resourceValues(forKeys: [.isRegularFileKey]))?
                    .isRegularFile == true
        }.sorted()
        let chosen = visible.filter { Self.extensions.contains(($0 as NSString).pathExtension.lowercased()) }
        guard !chosen.isEmpty else {
            throw DatasetError.empty(
                folder.path,
                problem: "no training data in this folder (\(counted(visible.count, "other file"))); "
                    + "expected files ending in .jsonl, .json, .csv, .tsv or .txt")
        }
        let ignored = visible.filter { !chosen.contains($0) }
        if !ignored.isEmpty {
            warnings.append("ignored \(counted(ignored.count, "file")) without text data (first: \(ignored[0]))")
        }
        return chosen.map { (folder.appendingPathComponent($0), $0) }
    }

    private mutating func read(_ url: URL, name: String) throws {
        let kind = url.pathExtension.lowercased()
        let text = try SourceText(url, name: name)
        files.append(DataFile(path: name, url: url, bytes: text.size))
        switch kind {
        case "jsonl", "ndjson": records += try Self.lines(text)
        case "json": records += try Self.json(text)
        case "csv", "tsv": records += try CSVReader.records(text, isTabSeparated: kind == "tsv")
        case "txt", "text": records += Self.plainText(text, unit: textUnit)
        default:
            throw DatasetError.file(
                name, problem: "cannot tell what '.\(kind)' holds; expected .jsonl, .json, .csv, .tsv or .txt")
        }
    }

    // MARK: - JSON

    /// One object a line.
    static func lines(_ text: SourceText) throws -> [DataRecord] {
        var reader = JSONReader(text)
        var records: [DataRecord] = []
        while reader.nextLine() {
            let source = SampleSource(file: text.file, line: reader.line)
            guard reader.peek() == UInt8(ascii: "{") else { throw reader.unexpected("an object, one a line") }
            records.append(DataRecord(members: try reader.members(), source: source))
            guard reader.peek() == nil else { throw reader.unexpected("the end of the line") }
        }
        return records
    }

    /// An array of objects; a file of one object a line is read as what it is.
    static func json(_ text: SourceText) throws -> [DataRecord] {
        var reader = JSONReader(text)
        guard let first = reader.peek() else { return [] }
        if first == UInt8(ascii: "{") { return try objects(text) }
        guard reader.take(UInt8(ascii: "[")) else { throw reader.unexpected("an array of objects") }
        var records: [DataRecord] = []
        if !reader.take(UInt8(ascii: "]")) {
            repeat {
                let isObject = reader.peek() == UInt8(ascii: "{")
                guard isObject else { throw reader.unexpected("an object, as each element of the array") }
                let source = SampleSource(file: text.file, line: reader.line)
                records.append(DataRecord(members: try reader.members(), source: source))
            } while reader.take(UInt8(ascii: ","))
            guard reader.take(UInt8(ascii: "]")) else { throw reader.unexpected("',' or ']'") }
        }
        guard reader.peek() == nil else { throw reader.unexpected("the end of the file after the array") }
        return records
    }

    /// Objects one after the other, on one line or several.
    private static func objects(_ text: SourceText) throws -> [DataRecord] {
        var reader = JSONReader(text)
        var records: [DataRecord] = []
        while reader.peek() != nil {
            let source = SampleSource(file: text.file, line: reader.line)
            guard reader.peek() == UInt8(ascii: "{") else { throw reader.unexpected("an object") }
            records.append(DataRecord(members: try reader.members(), source: source))
        }
        return records
    }

    // MARK: - Plain text

    static func plainText(_ text: SourceText, unit: TextUnit) -> [DataRecord] {
        let lines = text.bytes.split(separator: 10, omittingEmptySubsequences: false)
            .map { $0.last == 13 ? $0.dropLast() : $0 }
        var records: [DataRecord] = []
        var start = 0
        func isBlank(_ line: ArraySlice<UInt8>) -> Bool { line.allSatisfy { $0 == 32 || $0 == 9 } }
        func flush(_ end: Int) {
            let body = lines[start..<end].drop(while: isBlank)
            let first = body.startIndex
            let last = body.lastIndex { !isBlank($0) }
            if let last {
                let text = body[first...last].map { String(decoding: $0, as: UTF8.self) }.joined(separator: "\n")
                records.append(record(text, first + 1))
            }
            start = end
        }
        func record(_ body: String, _ line: Int) -> DataRecord {
            DataRecord(
                members: [DataMember(key: "text", value: .string(body))],
                source: SampleSource(file: text.file, line: line))
        }
        for (index, line) in lines.enumerated() where unit == .line || (unit == .paragraph && isBlank(line)) {
            flush(index + 1)
        }
        flush(lines.count)
        return records
    }
}
