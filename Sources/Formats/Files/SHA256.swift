// SHA-256 of files and bytes, for reports and for checking what was fetched.

import CBlocks
import Foundation

/// A running SHA-256 hash.
public struct SHA256 {
    private var hash = blocks_sha256()

    /// Starts a hash.
    public init() { blocks_sha256_begin(&hash) }

    /// Adds bytes.
    public mutating func add(_ bytes: UnsafeRawBufferPointer) {
        guard let start = bytes.baseAddress else { return }
        blocks_sha256_add(&hash, start, bytes.count)
    }

    /// The hash of what was added so far, as 64 hexadecimal digits.
    public func hexadecimal() -> String {
        var (ending, digest) = (hash, [UInt8](repeating: 0, count: 32))
        blocks_sha256_end(&ending, &digest)
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}

/// The SHA-256 of a file, as 64 hexadecimal digits; read piece by piece.
public func sha256(of url: URL) throws -> String {
    func failure(_ code: Int32) -> FormatsError { .system(path: url.shownPath, action: "read", code: code) }
    let descriptor = open(url.path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw failure(errno) }
    defer { close(descriptor) }
    var (hash, buffer) = (SHA256(), [UInt8](repeating: 0, count: 1 << 18))
    while true {
        let count = buffer.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
        if count < 0, errno == EINTR { continue }
        guard count >= 0 else { throw failure(errno) }
        guard count > 0 else { return hash.hexadecimal() }
        buffer.withUnsafeBytes { hash.add(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
    }
}

/// The SHA-256 of bytes, as 64 hexadecimal digits.
public func sha256(of data: Data) -> String {
    var hash = SHA256()
    data.withUnsafeBytes { hash.add($0) }
    return hash.hexadecimal()
}
