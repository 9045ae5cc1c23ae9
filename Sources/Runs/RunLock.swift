// One process at a time in a run folder: an advisory lock that the system takes back when the process ends, however.

import Formats
import Foundation

/// Holds the lock of a run folder for as long as it lives.
final class RunLock: Sendable {
    static let fileName = ".lock"
    private let descriptor: Int32

    /// Takes the lock, or says who has it.
    init(folder: URL, shownAs shown: String) throws {
        let path = folder.appendingPathComponent(Self.fileName).path
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw FormatsError.system(path: shown, action: "write", code: errno) }
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            let code = errno
            if code == EINTR { continue }
            let owner = Self.owner(descriptor)
            close(descriptor)
            guard code == EWOULDBLOCK else { throw FormatsError.system(path: shown, action: "lock", code: code) }
            throw RunError.inUse(path: shown, process: owner)
        }
        self.descriptor = descriptor
        // The number only serves the message above: a full disk must not keep a run from opening.
        let number = Array("\(getpid())\n".utf8)
        if ftruncate(descriptor, 0) == 0 { _ = pwrite(descriptor, number, number.count, 0) }
    }

    deinit { close(descriptor) }

    private static func owner(_ descriptor: Int32) -> Int {
        var bytes = [UInt8](repeating: 0, count: 20)
        let count = pread(descriptor, &bytes, bytes.count, 0)
        guard count > 0 else { return 0 }
        return Int(String(decoding: bytes[..<count].prefix { $0 != 10 }, as: UTF8.self)) ?? 0
    }
}
