// Files that appear whole or not at all: written under a temporary name, brought to the disk, then renamed.

import Foundation

/// An open file that bytes are appended to.
public final class FileSink {
    private let descriptor: Int32
    private let path: String
    /// How many bytes were written.
    public private(set) var count = 0

    /// Creates a file; fails if it exists.
    init(creating path: String, shownAs shown: String, flags: Int32 = O_CREAT | O_EXCL) throws {
        descriptor = open(path, O_WRONLY | O_CLOEXEC | flags, 0o666)
        self.path = shown
        guard descriptor >= 0 else { throw FormatsError.system(path: shown, action: "write", code: errno) }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Appends bytes.
    public func write(_ data: Data) throws {
        try data.withUnsafeBytes { try write($0) }
    }

    /// Appends bytes.
    public func write(_ bytes: UnsafeRawBufferPointer) throws {
        var left = bytes
        while left.count > 0 {
            // At most 1 GiB at a time: the system's own limit lies just below 2 GiB.
            let written = Foundation.write(descriptor, left.baseAddress, min(left.count, 1 << 30))
            if written < 0, errno == EINTR { continue }
            guard written > 0 else {
                throw FormatsError.system(path: path, action: "write", code: written < 0 ? errno : ENOSPC)
            }
            count += written
            left = UnsafeRawBufferPointer(rebasing: left.dropFirst(written))
        }
    }

    /// Waits until the disk has everything.
    func flush() throws {
        while fsync(descriptor) != 0 {
            guard errno == EINTR else { throw FormatsError.system(path: path, action: "write", code: errno) }
        }
    }
}

/// Writes whole files in one step; on failure what was there before is unchanged.
public enum AtomicFile {
    /// Writes `data` to `url`, replacing a file of that name.
    public static func write(_ data: Data, to url: URL) throws {
        try write(to: url) { try $0.write(data) }
    }

    /// Writes what `body` appends to `url`, replacing a file of that name.
    public static func write(to url: URL, _ body: (FileSink) throws -> Void) throws {
        let temporary = Temporary.name(for: url)
        do {
            let sink = try FileSink(creating: temporary.path, shownAs: url.shownPath)
            try body(sink)
            try sink.flush()
            guard rename(temporary.path, url.path) == 0 else {
                throw FormatsError.system(path: url.shownPath, action: "write", code: errno)
            }
        } catch {
            unlink(temporary.path)
            throw error
        }
        Temporary.flush(folder: url.deletingLastPathComponent())
    }
}

/// Names for what is not finished yet: `.NAME.PROCESS-NUMBER.partial`.
enum Temporary {
    /// A new hidden name beside `url`.
    static func name(for url: URL) -> URL {
        // A random number, not a counter, because several programs may share a folder over a network.
        let number = String(UInt32.random(in: .min ... .max), radix: 36)
        let name = ".\(url.lastPathComponent.prefix(150)).\(getpid())-\(number).partial"
        return url.deletingLastPathComponent().appendingPathComponent(name)
    }

    /// What unfinished writing of `url` by processes that are gone has left behind.
    static func leftovers(of url: URL) -> [URL] {
        let folder = url.deletingLastPathComponent()
        let prefix = ".\(url.lastPathComponent.prefix(150))."
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return names.filter { name in
            guard name.hasPrefix(prefix), name.hasSuffix(".partial"),
                let process = pid_t(name.dropFirst(prefix.count).prefix { $0.isNumber }), process > 0
            else { return false }
            return process != getpid() && kill(process, 0) != 0 && errno == ESRCH
        }.map { folder.appendingPathComponent($0) }
    }

    /// Brings the names in a folder to the disk; not all file systems can, and then nothing is lost but certainty.
    static func flush(folder: URL) {
        let descriptor = open(folder.path.isEmpty ? "." : folder.path, O_RDONLY | O_CLOEXEC | O_DIRECTORY)
        guard descriptor >= 0 else { return }
        fsync(descriptor)
        close(descriptor)
    }
}
