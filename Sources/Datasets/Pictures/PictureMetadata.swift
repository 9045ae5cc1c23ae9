// Reads what `metadata.csv` and `metadata.jsonl` say of pictures.

import Foundation

/// What one row says of a picture.
struct PictureRow {
    let file: String
    let caption: String
    let source: SampleSource
}

/// Files that list pictures with their captions.
enum PictureMetadata {
    static let fileKeys = ["file_name", "filename", "file", "image", "path"]
    static let captionKeys = ["text", "caption", "prompt"]
    private static let needs =
        "expected a column \(fileKeys.joined(separator: "|")) and a column \(captionKeys.joined(separator: "|"))"

    /// The rows of a file.
    static func rows(_ url: URL, name: String) throws -> [PictureRow] {
        let text = try SourceText(url, name: name)
        switch url.pathExtension.lowercased() {
        case "csv": return try table(text, isTabSeparated: false)
        case "tsv": return try table(text, isTabSeparated: true)
        case "jsonl", "ndjson": return try objects(RecordReader.lines(text))
        case "json": return try objects(RecordReader.json(text))
        default:
            throw DatasetError.file(name, problem: "expected metadata in a file ending in .csv, .tsv, .jsonl or .json")
        }
    }

    private static func column(_ keys: [String], in names: [String]) -> Int? {
        let names = names.map { $0.trimmed.lowercased() }
        return keys.lazy.compactMap { names.firstIndex(of: $0) }.first
    }

    // MARK: - CSV

    /// With or without a header; without one, the first column is the file and the second the caption.
    private static func table(_ text: SourceText, isTabSeparated: Bool) throws -> [PictureRow] {
        var reader = CSVReader(text, isTabSeparated: isTabSeparated)
        guard let first = try reader.row() else { return [] }
        var (file, caption, count) = (0, 1, 2)
        var rows: [PictureRow] = []
        if let fileColumn = column(fileKeys, in: first.fields),
            let captionColumn = column(captionKeys, in: first.fields)
        {
            (file, caption, count) = (fileColumn, captionColumn, first.fields.count)
        } else {
            guard isPicture(first.fields[0]) else { throw wrongColumns(first, text.file) }
            rows.append(try row(first))
        }
        func row(_ row: (fields: [String], line: Int)) throws -> PictureRow {
            guard row.fields.count == count else {
                throw DatasetError.place(
                    file: text.file, line: row.line,
                    problem: "expected \(count) fields, got \(row.fields.count); put quotes around captions with commas"
                )
            }
            return PictureRow(
                file: row.fields[file].trimmed, caption: row.fields[caption],
                source: SampleSource(file: text.file, line: row.line))
        }
        while let next = try reader.row() { rows.append(try row(next)) }
        return rows
    }

    private static func isPicture(_ name: String) -> Bool {
        PictureFolder.extensions.contains((name.trimmed as NSString).pathExtension.lowercased())
    }

    private static func wrongColumns(_ row: (fields: [String], line: Int), _ file: String) -> DatasetError {
        .place(
            file: file, line: row.line,
            problem: "\(needs), or rows of a picture's file name and its caption without a header, "
                + "got '\(row.fields.joined(separator: ", ").excerpt(80))'")
    }

    // MARK: - JSON

    private static func objects(_ records: [DataRecord]) throws -> [PictureRow] {
        try records.map { record in
            let names = record.members.map(\.key)
            guard let file = column(fileKeys, in: names), let caption = column(captionKeys, in: names) else {
                throw record.error("\(needs), got the keys \(names.joined(separator: ", ").excerpt(80))")
            }
            func text(_ index: Int) throws -> String {
                switch record.members[index].value {
                case .string(let text): return text
                case .null where index == caption: return ""
                case let other:
                    throw record.error("'\(names[index])': expected text, got \(other.kind)")
                }
            }
            return PictureRow(file: try text(file), caption: try text(caption), source: record.source)
        }
    }
}
