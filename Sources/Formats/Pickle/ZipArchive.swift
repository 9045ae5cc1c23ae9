// The list of contents of a ZIP archive, as far as PyTorch's checkpoints need it: entries are stored, not compressed.
// Format: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT (sections 4.3.6 to 4.5.3)

import Foundation

/// A ZIP archive whose entries are found, not read.
struct ZipArchive {
    /// An entry as the central directory describes it.
    struct Entry {
        let name: String
        let size: Int
        fileprivate let compressedSize: Int
        fileprivate let header: Int
        fileprivate let method: UInt16
        fileprivate let flags: UInt16
    }

    let file: MappedFile
    /// The entries by name.
    let entries: [String: Entry]

    /// Reads the central directory, which is at the end of the file.
    init(_ file: MappedFile) throws {
        self.file = file
        entries = try Self.entries(of: file)
    }

    /// Where the bytes of a stored entry lie in the file.
    func range(of entry: Entry) throws -> Range<Int> {
        guard entry.method == 0, entry.flags & 1 == 0, entry.compressedSize == entry.size else {
            throw FormatsError.unsupported(
                path: file.url.shownPath, place: entry.name,
                problem: "compressed or encrypted within the archive, which PyTorch never writes",
                remedy: "write the checkpoint again with torch.save")
        }
        let header = try Self.bytes(of: file, at: entry.header, count: 30, "the header of \(entry.name)")
        guard header.number(UInt32.self, 0) == 0x0403_4B50 else {
            throw Self.damaged(file, entry.name, "no entry at byte \(entry.header.grouped), where one should be")
        }
        let start = entry.header + 30 + Int(header.number(UInt16.self, 26)) + Int(header.number(UInt16.self, 28))
        _ = try Self.bytes(of: file, at: start, count: entry.size, entry.name)
        return start..<(start + entry.size)
    }
}

extension ZipArchive {
    private static func damaged(_ file: MappedFile, _ place: String?, _ problem: String) -> FormatsError {
        .damaged(path: file.url.shownPath, place: place, problem: problem)
    }

    /// `count` bytes from `offset` on; both come from the file.
    private static func bytes(
        of file: MappedFile, at offset: Int, count: Int, _ what: String
    ) throws -> UnsafeRawBufferPointer {
        guard offset >= 0, count >= 0, offset <= file.count, count <= file.count - offset else {
            throw damaged(
                file, what,
                "\(count.grouped) bytes at \(offset.grouped) expected, the file has \(file.count.grouped)")
        }
        return try file.bytes(at: offset, count: count)
    }

    private static func size(_ number: UInt64, _ file: MappedFile, _ what: String) throws -> Int {
        guard let size = Int(exactly: number), size <= file.count else {
            throw damaged(file, what, "\(number.grouped) bytes, the file has \(file.count.grouped)")
        }
        return size
    }

    // MARK: - The end of the file

    /// Where the central directory begins, its bytes and its entries.
    private struct Directory {
        var offset, size, count: UInt64
    }

    private static func directory(of file: MappedFile) throws -> Directory {
        // The end record has 22 bytes and a comment of at most 65,535 behind it.
        let tail = try file.bytes(at: max(0, file.count - 65_557), count: min(file.count, 65_557))
        let end = stride(from: tail.count - 22, through: 0, by: -1).first { place in
            tail.number(UInt32.self, place) == 0x0605_4B50
                && place + 22 + Int(tail.number(UInt16.self, place + 20)) == tail.count
        }
        guard let end else {
            throw damaged(file, nil, "a ZIP archive without the list of its contents, which is at its end")
        }
        let directory = Directory(
            offset: UInt64(tail.number(UInt32.self, end + 16)), size: UInt64(tail.number(UInt32.self, end + 12)),
            count: UInt64(tail.number(UInt16.self, end + 10)))
        // Archives of more than 4 GiB have a second record, and a pointer to it before the first.
        guard end >= 20, tail.number(UInt32.self, end - 20) == 0x0706_4B50 else { return directory }
        let place = try size(tail.number(UInt64.self, end - 12), file, "the end record")
        let large = try bytes(of: file, at: place, count: 56, "the end record")
        guard large.number(UInt32.self, 0) == 0x0606_4B50 else {
            throw damaged(file, nil, "no ZIP64 end record at byte \(place.grouped), where it should be")
        }
        return Directory(
            offset: large.number(UInt64.self, 48), size: large.number(UInt64.self, 40),
            count: large.number(UInt64.self, 32))
    }

    // MARK: - The list

    private static func entries(of file: MappedFile) throws -> [String: Entry] {
        let directory = try directory(of: file), what = "the list of contents"
        let list = try bytes(
            of: file, at: size(directory.offset, file, what), count: size(directory.size, file, what), what)
        var entries: [String: Entry] = [:]
        var position = 0
        while position < list.count {
            let (entry, length) = try entry(list, at: position, file)
            guard entries.updateValue(entry, forKey: entry.name) == nil else {
                throw damaged(file, entry.name, "two entries of the archive have this name")
            }
            position += length
        }
        guard entries.count == directory.count else {
            throw damaged(file, what, "\(entries.count.grouped) entries, \(directory.count.grouped) announced")
        }
        return entries
    }

    private static func entry(
        _ list: UnsafeRawBufferPointer, at position: Int, _ file: MappedFile
    ) throws -> (entry: Entry, length: Int) {
        let cutOff = damaged(file, "the list of contents", "cut off or overwritten at its byte \(position.grouped)")
        guard list.count - position >= 46, list.number(UInt32.self, position) == 0x0201_4B50 else { throw cutOff }
        func short(_ offset: Int) -> Int { Int(list.number(UInt16.self, position + offset)) }
        let name = position + 46, extra = name + short(28), end = extra + short(30)
        guard end + short(32) <= list.count else { throw cutOff }
        // Sizes and places that do not fit 32 bits follow in an extra field, in this order.
        var numbers = [24, 20, 42].map { UInt64(list.number(UInt32.self, position + $0)) }
        var wide = wideNumbers(UnsafeRawBufferPointer(rebasing: list[extra..<end]))[...]
        for index in numbers.indices where numbers[index] == UInt64(UInt32.max) {
            numbers[index] = wide.popFirst() ?? numbers[index]
        }
        let text = String(decoding: list[name..<extra], as: UTF8.self)
        let sizes = try numbers.map { try size($0, file, text) }
        let entry = Entry(
            name: text, size: sizes[0], compressedSize: sizes[1], header: sizes[2],
            method: list.number(UInt16.self, position + 10), flags: list.number(UInt16.self, position + 8))
        return (entry, end + short(32) - position)
    }

    /// The numbers of 64 bits in an entry's extra fields.
    private static func wideNumbers(_ fields: UnsafeRawBufferPointer) -> [UInt64] {
        var position = 0
        while fields.count - position >= 4 {
            let kind = fields.number(UInt16.self, position)
            let length = min(Int(fields.number(UInt16.self, position + 2)), fields.count - position - 4)
            if kind == 1 {
                return (0..<(length / 8)).map { fields.number(UInt64.self, position + 4 + 8 * $0) }
            }
            position += 4 + length
        }
        return []
    }
}

extension UnsafeRawBufferPointer {
    /// A little-endian number at a place that has been checked.
    func number<T: FixedWidthInteger>(_: T.Type, _ offset: Int) -> T {
        T(littleEndian: loadUnaligned(fromByteOffset: offset, as: T.self))
    }
}
