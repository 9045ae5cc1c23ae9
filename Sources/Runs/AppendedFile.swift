// A text file that grows line by line: a line is there whole or not at all.

import Formats
import Foundation

/// Appends whole lines to a file.
final class AppendedFile {
    private let descriptor: Int32
    private let path: String
    private var length: off_t

    /// Opens or creates the file, and cuts off a last line that was never finished.
    init(_ url: URL) throws {
        path = url.relativePath
        descriptor = open(url.path, O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw FormatsError.system(path: path, action: "write", code: errno) }
        length = lseek(descriptor, 0, SEEK_END)
        let whole = Self.endOfLastLine(descriptor, length)
        guard whole >= 0, whole == length || ftruncate(descriptor, whole) == 0 else {
            throw FormatsError.system(path: path, action: "write", code: errno)
        }
        length = whole
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Appends a line and its end. On failure the file is as it was.
    func append(_ line: Data) throws {
        let bytes = line + [10]
        let written = bytes.withUnsafeBytes { Self.write($0, to: descriptor, at: length) }
        guard written == 0 else {
            ftruncate(descriptor, length)
            throw FormatsError.system(path: path, action: "write", code: written)
        }
        length += off_t(bytes.count)
    }

    /// Waits until the disk has everything.
    func flush() { fsync(descriptor) }

    /// 0, or why not everything was written.
    private static func write(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32, at start: off_t) -> Int32 {
        var done = 0
        while done < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
            let count = pwrite(descriptor, rest.baseAddress, rest.count, start + off_t(done))
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return count < 0 ? errno : ENOSPC }
            done += count
        }
        return 0
    }

    /// The offset just behind the last line end, looked for from the back.
    private static func endOfLastLine(_ descriptor: Int32, _ length: off_t) -> off_t {
        var (end, block) = (length, [UInt8](repeating: 0, count: 4096))
        while end > 0 {
            let start = max(0, end - off_t(block.count))
            let count = pread(descriptor, &block, Int(end - start), start)
            guard count == Int(end - start) else { return -1 }
            if let last = block[..<count].lastIndex(of: 10) { return start + off_t(last) + 1 }
            end = start
        }
        return 0
    }
}
