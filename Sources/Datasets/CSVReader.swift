// Reads comma-separated values (RFC 4180) with a header line.

/// The rows of a CSV file.
struct CSVReader {
    private let bytes: [UInt8]
    private let file: String
    private let separator: UInt8
    private var position = 0
    private var line = 1

    /// `separator` is a tab for `.tsv`; for `.csv` a semicolon when the header has semicolons and no commas.
    init(_ text: SourceText, isTabSeparated: Bool) {
        bytes = text.bytes
        file = text.file
        if isTabSeparated {
            separator = 9
        } else {
            let header = text.bytes.prefix { $0 != 10 }
            separator =
                header.contains(UInt8(ascii: ";")) && !header.contains(UInt8(ascii: ",")) ? UInt8(ascii: ";") : 44
        }
    }

    /// Every row as an object of strings.
    static func records(_ text: SourceText, isTabSeparated: Bool) throws -> [DataRecord] {
        var reader = CSVReader(text, isTabSeparated: isTabSeparated)
        guard let header = try reader.row() else { return [] }
        let names = header.fields
        var records: [DataRecord] = []
        while let row = try reader.row() {
            guard row.fields.count == names.count else {
                throw DatasetError.place(
                    file: text.file, line: row.line,
                    problem:
                        "expected \(names.count) fields as in the header (\(names.joined(separator: ", ").excerpt(60))), "
                        + "got \(row.fields.count); put quotes around text with commas or line breaks")
            }
            let members = zip(names, row.fields).map { DataMember(key: $0, value: .string($1)) }
            records.append(DataRecord(members: members, source: SampleSource(file: text.file, line: row.line)))
        }
        return records
    }

    /// The next row that is not empty, and the line on which it starts.
    mutating func row() throws -> (fields: [String], line: Int)? {
        while position < bytes.count {
            let start = line
            var fields = [try field()]
            while position < bytes.count, bytes[position] == separator {
                position += 1
                fields.append(try field())
            }
            endLine()
            if fields != [""] { return (fields, start) }
        }
        return nil
    }

    private mutating func endLine() {
        if position < bytes.count, bytes[position] == 13 { position += 1 }
        if position < bytes.count, bytes[position] == 10 { position += 1 }
        line += 1
    }

    private var endsLine: Bool {
        guard position < bytes.count else { return true }
        return bytes[position] == 10
            || (bytes[position] == 13 && (position + 1 == bytes.count || bytes[position + 1] == 10))
    }

    private mutating func field() throws -> String {
        guard position < bytes.count, bytes[position] == UInt8(ascii: "\"") else {
            let start = position
            while !endsLine, bytes[position] != separator { position += 1 }
            return String(decoding: bytes[start..<position], as: UTF8.self)
        }
        let opened = line
        position += 1
        var text: [UInt8] = []
        while position < bytes.count {
            let byte = bytes[position]
            position += 1
            if byte != UInt8(ascii: "\"") {
                if byte == 10 { line += 1 }
                text.append(byte)
            } else if position < bytes.count, bytes[position] == UInt8(ascii: "\"") {
                text.append(byte)
                position += 1
            } else {
                return try closedField(text)
            }
        }
        throw DatasetError.place(file: file, line: opened, problem: "the quoted field that starts here is not closed")
    }

    private func closedField(_ text: [UInt8]) throws -> String {
        guard endsLine || bytes[position] == separator else {
            let rest = String(decoding: bytes[position..<min(position + 40, bytes.count)], as: UTF8.self)
            throw DatasetError.place(
                file: file, line: line,
                problem: "text after a closing quote: '\(rest.excerpt(20))'; write a quote inside a field twice (\"\")")
        }
        return String(decoding: text, as: UTF8.self)
    }
}
