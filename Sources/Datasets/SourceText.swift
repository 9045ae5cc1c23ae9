// Loads a data file and makes sure that it is UTF-8 text before anything is read from it.

import Foundation

/// The bytes of a text file without byte order mark, known to be valid UTF-8.
struct SourceText {
    let file: String
    let bytes: [UInt8]
    /// Bytes on disk.
    let size: Int

    /// Data files above this are refused: they would not fit into memory with their tokens.
    static let maximumSize = 8 << 30

    init(_ url: URL, name: String) throws {
        let data: Data
        do {
            let size = try url.resourceValues(forKeys: [.fileSizeKey]).fileSize ?? 0
            guard size <= Self.maximumSize else {
                throw DatasetError.file(name, problem: "\(size) bytes; expected at most 8 GiB; divide the data")
            }
            data = try Data(contentsOf: url)
        } catch let error as DatasetError {
            throw error
        } catch {
            throw DatasetError.file(name, problem: "cannot be read; check that the file exists and may be read")
        }
        try self.init([UInt8](data), file: name)
    }

    init(_ bytes: [UInt8], file: String) throws {
        self.file = file
        size = bytes.count
        if bytes.starts(with: [0xFF, 0xFE]) || bytes.starts(with: [0xFE, 0xFF]) {
            throw DatasetError.file(file, problem: "the text is UTF-16; save it as UTF-8")
        }
        if let kind = Self.binaryKind(bytes) {
            throw DatasetError.file(file, problem: "this is \(kind), not text; convert it to JSONL")
        }
        let body = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? Array(bytes[3...]) : bytes
        if let offset = Self.firstInvalidByte(body) {
            let line = 1 + body[..<offset].reduce(0) { $0 + ($1 == 10 ? 1 : 0) }
            let byte = String(body[offset], radix: 16)
            throw DatasetError.place(
                file: file, line: line,
                problem: "byte 0x\(byte) at offset \(offset) is not UTF-8; save the file as UTF-8")
        }
        self.bytes = body
    }

    private static func binaryKind(_ bytes: [UInt8]) -> String? {
        let signatures: [([UInt8], String)] = [
            (Array("PAR1".utf8), "a Parquet file"), ([0x1F, 0x8B], "a gzip archive"),
            ([0x50, 0x4B, 3, 4], "a zip archive"), (Array("ARROW1".utf8), "an Arrow file"),
            ([0x28, 0xB5, 0x2F, 0xFD], "a Zstandard archive"),
        ]
        return signatures.first { bytes.starts(with: $0.0) }?.1
    }

    /// The offset of the first byte that is not part of well-formed UTF-8 (Unicode 15, table 3-7).
    static func firstInvalidByte(_ bytes: [UInt8]) -> Int? {
        bytes.withUnsafeBufferPointer { bytes in
            var index = 0
            while index < bytes.count {
                if index + 8 <= bytes.count, isASCII(bytes, index) {
                    index += 8
                    continue
                }
                guard let length = sequenceLength(bytes, index) else { return index }
                index += length
            }
            return nil
        }
    }

    private static func isASCII(_ bytes: UnsafeBufferPointer<UInt8>, _ index: Int) -> Bool {
        let word = UnsafeRawBufferPointer(bytes).loadUnaligned(fromByteOffset: index, as: UInt64.self)
        return word & 0x8080_8080_8080_8080 == 0
    }

    private static func sequenceLength(_ bytes: UnsafeBufferPointer<UInt8>, _ index: Int) -> Int? {
        let first = bytes[index]
        let length: Int
        var second: ClosedRange<UInt8> = 0x80...0xBF
        switch first {
        case 0x00...0x7F: return 1
        case 0xC2...0xDF: length = 2
        case 0xE0: (length, second) = (3, 0xA0...0xBF)
        case 0xED: (length, second) = (3, 0x80...0x9F)
        case 0xE1...0xEF: length = 3
        case 0xF0: (length, second) = (4, 0x90...0xBF)
        case 0xF4: (length, second) = (4, 0x80...0x8F)
        case 0xF1...0xF3: length = 4
        default: return nil
        }
        guard bytes.count - index >= length, second.contains(bytes[index + 1]) else { return nil }
        for offset in 2..<max(2, length) where bytes[index + offset] & 0xC0 != 0x80 { return nil }
        return length
    }
}
