// A file mapped into memory for reading: opening costs nothing, pages arrive when they are touched.

import Foundation

/// A read-only memory-mapped file; the mapping lives as long as the object.
///
/// A file that another program shortens while it is mapped ends this process when a lost page is touched, as with every
/// program that maps files.
public final class MappedFile: @unchecked Sendable {
    // Unchecked, because pointers are not `Sendable`: the mapping is never written to and `base` never changes.

    /// The file, as it was opened.
    public let url: URL
    /// Its size in bytes.
    public let count: Int
    private let base: UnsafeRawPointer?

    /// Opens and maps a regular file.
    public init(_ url: URL) throws {
        // Without O_NONBLOCK, opening a named pipe would wait for a writer.
        let descriptor = open(url.path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw FormatsError.system(path: url.shownPath, action: "open", code: errno) }
        defer { close(descriptor) }

        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            throw FormatsError.system(path: url.shownPath, action: "open", code: errno)
        }
        guard status.st_mode & S_IFMT != S_IFDIR else {
            throw FormatsError.system(path: url.shownPath, action: "open", code: EISDIR)
        }
        guard status.st_mode & S_IFMT == S_IFREG, let count = Int(exactly: status.st_size) else {
            throw FormatsError.unsupported(
                path: url.shownPath, place: nil, problem: "not a regular file", remedy: "name a file on a disk")
        }
        self.url = url
        self.count = count
        base = try Self.map(descriptor, count, url)
    }

    /// Memory that stands for a part of `file` whose bytes had to be put in order; `fill` writes all of it.
    init(copyOf file: MappedFile, count: Int, fill: (UnsafeMutableRawBufferPointer) -> Void) throws {
        let (access, kind) = (PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON)
        guard let address = mmap(nil, max(1, count), access, kind, -1, 0), address != MAP_FAILED else {
            throw FormatsError.system(path: file.url.shownPath, action: "put a tensor in order", code: errno)
        }
        withExtendedLifetime(file) { fill(UnsafeMutableRawBufferPointer(start: address, count: count)) }
        (url, self.count, base) = (file.url, count, UnsafeRawPointer(address))
    }

    deinit {
        if let base { munmap(UnsafeMutableRawPointer(mutating: base), count) }
    }

    private static func map(_ descriptor: Int32, _ count: Int, _ url: URL) throws -> UnsafeRawPointer? {
        guard count > 0 else { return nil }
        let address = mmap(nil, count, PROT_READ, MAP_PRIVATE, descriptor, 0)
        guard let address, address != MAP_FAILED else {
            throw FormatsError.system(path: url.shownPath, action: "map into memory", code: errno)
        }
        return UnsafeRawPointer(address)
    }

    /// `count` bytes from `offset` on.
    ///
    /// The memory is valid as long as this object: whoever keeps the pointer keeps the object, too. Swift may release
    /// an object after its last use, before the end of the scope; `withBytes` is the safe way where both are local.
    public func bytes(at offset: Int, count: Int) throws -> UnsafeRawBufferPointer {
        guard offset >= 0, count >= 0, offset <= self.count, count <= self.count - offset else {
            throw FormatsError.damaged(
                path: url.shownPath, place: nil,
                problem: "\(count.grouped) bytes at \(offset.grouped) expected, the file has \(self.count.grouped)")
        }
        guard let base else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        return UnsafeRawBufferPointer(start: base + offset, count: count)
    }

    /// Gives the whole file, which stays mapped while `body` runs.
    public func withBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        try withExtendedLifetime(self) { try body(unguardedBytes) }
    }

    /// The whole file, for those who hold this object while they use the memory.
    var unguardedBytes: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: base, count: count)
    }
}
