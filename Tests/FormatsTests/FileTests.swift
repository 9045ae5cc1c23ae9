// Mapped files, files and folders that appear whole, and SHA-256.

import Foundation
import TestSupport
import Testing

@testable import Formats

@Suite("Mapped files")
struct MappedFileTests {
    @Test("bytes are given within the file and refused beyond it")
    func bounds() throws {
        try withTemporaryFolder { folder in
            let url = folder.appendingPathComponent("file")
            try Data(0..<100).write(to: url)
            let file = try MappedFile(url)
            #expect(try withExtendedLifetime(file) { Array(try file.bytes(at: 98, count: 2)) } == [98, 99])
            #expect(try file.bytes(at: 100, count: 0).isEmpty)
            for (offset, count) in [(99, 2), (101, 0), (-1, 1), (0, -1), (.max, .max), (1, .max)] {
                expectMessage(["file: ", "expected, the file has 100; "]) { try file.bytes(at: offset, count: count) }
            }
        }
    }

    @Test("an empty file has no bytes")
    func empty() throws {
        try withTemporaryFolder { folder in
            let url = folder.appendingPathComponent("empty")
            try Data().write(to: url)
            let file = try MappedFile(url)
            #expect(try file.count == 0 && file.withBytes { $0.isEmpty } && file.bytes(at: 0, count: 0).isEmpty)
        }
    }

    @Test("what is no file is refused with the reason")
    func noFile() throws {
        try withTemporaryFolder { folder in
            expectMessage(["cannot open: there is no such file or folder; check the path"]) {
                try MappedFile(folder.appendingPathComponent("absent"))
            }
            expectMessage(["cannot open: it is a folder; name a file"]) { try MappedFile(folder) }
            let pipe = folder.appendingPathComponent("pipe")
            mkfifo(pipe.path, 0o600)
            expectMessage(["pipe: not a regular file; name a file on a disk"]) { try MappedFile(pipe) }
        }
    }
}

@Suite("Files and folders that appear whole")
struct AtomicTests {
    private struct Stop: Error {}

    private func names(_ folder: URL) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
    }

    @Test("a file is replaced, and after a failure the earlier one is there alone")
    func file() throws {
        try withTemporaryFolder { folder in
            let url = folder.appendingPathComponent("file")
            try AtomicFile.write(Data("one".utf8), to: url)
            try AtomicFile.write(Data("two".utf8), to: url)
            #expect(throws: Stop.self) {
                try AtomicFile.write(to: url) { file in
                    try file.write(Data("thr".utf8))
                    #expect(try names(folder).count == 2)
                    throw Stop()
                }
            }
            #expect(try String(contentsOf: url, encoding: .utf8) == "two")
            #expect(try names(folder) == ["file"])
        }
    }

    @Test("a folder that is not there is named")
    func noFolder() throws {
        try withTemporaryFolder { folder in
            let url = folder.appendingPathComponent("absent/file")
            expectMessage(["absent/file: cannot write: there is no such file or folder; check the path"]) {
                try AtomicFile.write(Data(), to: url)
            }
            expectMessage(["absent/file: cannot write: there is no such"]) { try AtomicFolder.build(at: url) { _ in } }
        }
    }

    @Test("a full disk is said, with what to do", .enabled(if: FileManager.default.fileExists(atPath: "/dev/full")))
    func fullDisk() {
        expectMessage(["out: cannot write: the disk is full; free some space or choose another disk; what was there"]) {
            try FileSink(creating: "/dev/full", shownAs: "out", flags: 0).write(Data("x".utf8))
        }
    }

    @Test(
        "the reasons of the system are said with what to do",
        arguments: [
            (EROFS, "the file system is read-only; choose a folder on another file system"),
            (EACCES, "permission denied; change its permissions or those of its folder, or choose another path"),
            (EDQUOT, "the disk quota is used up; free some space"),
            (EIO, "; check the path and the disk"),
        ] as [(Int32, String)])
    func reasons(code: Int32, message: String) {
        #expect("\(FormatsError.system(path: "out", action: "write", code: code))".contains(message))
    }

    @Test("a new folder appears with all that is in it")
    func folder() throws {
        try withTemporaryFolder { parent in
            let url = parent.appendingPathComponent("checkpoint")
            try AtomicFolder.build(at: url) { folder in
                #expect(!FileManager.default.fileExists(atPath: url.path))
                try AtomicFile.write(Data("a".utf8), to: folder.appendingPathComponent("a"))
                let inner = folder.appendingPathComponent("inner")
                try FileManager.default.createDirectory(at: inner, withIntermediateDirectories: false)
                try Data("b".utf8).write(to: inner.appendingPathComponent("b"))
            }
            #expect(try names(parent) == ["checkpoint"])
            #expect(try names(url) == ["a", "inner"] && names(url.appendingPathComponent("inner")) == ["b"])
        }
    }

    @Test("a folder that exists is kept, or replaced as a whole when asked")
    func replacing() throws {
        try withTemporaryFolder { parent in
            let url = parent.appendingPathComponent("checkpoint")
            for name in ["old", "new"] {
                let fill = { (folder: URL) in try Data().write(to: folder.appendingPathComponent(name)) }
                if name == "new" {
                    expectMessage(["checkpoint: cannot write: it exists already; choose another path"]) {
                        try AtomicFolder.build(at: url, fill)
                    }
                }
                try AtomicFolder.build(at: url, replacing: true, fill)
                #expect(try names(url) == [name] && names(parent) == ["checkpoint"])
            }
        }
    }

    @Test("after a failure the earlier folder is there alone")
    func folderFailure() throws {
        try withTemporaryFolder { parent in
            let url = parent.appendingPathComponent("checkpoint")
            try AtomicFolder.build(at: url) { try Data().write(to: $0.appendingPathComponent("old")) }
            #expect(throws: Stop.self) {
                try AtomicFolder.build(at: url, replacing: true) { folder in
                    try Data().write(to: folder.appendingPathComponent("new"))
                    throw Stop()
                }
            }
            expectMessage(["/checkpoint/absent/file: cannot write: there is no such file or folder"]) {
                try AtomicFolder.build(at: url, replacing: true) { folder in
                    try AtomicFile.write(Data(), to: folder.appendingPathComponent("absent/file"))
                }
            }
            #expect(try names(url) == ["old"] && names(parent) == ["checkpoint"])
        }
    }

    @Test("what a process that is gone left unfinished is removed; a living one's is kept")
    func leftovers() throws {
        try withTemporaryFolder { parent in
            let url = parent.appendingPathComponent("checkpoint")
            // Process numbers end far below 2^30; the parent of this process lives.
            let (dead, living) = (".checkpoint.1073741823-x.partial", ".checkpoint.\(getppid())-x.partial")
            for name in [dead, living, ".checkpoint.partial", "other"] {
                try FileManager.default.createDirectory(
                    at: parent.appendingPathComponent(name), withIntermediateDirectories: false)
            }
            try AtomicFolder.build(at: url) { _ in }
            #expect(try names(parent) == [living, ".checkpoint.partial", "checkpoint", "other"].sorted())
        }
    }
}

@Suite("SHA-256")
struct SHA256Tests {
    @Test(
        "the standard's examples",
        arguments: [
            ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
            ),
            (
                String(repeating: "a", count: 1_000_000),
                "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
            ),
        ] as [(String, String)])
    func examples(text: String, digest: String) throws {
        #expect(sha256(of: Data(text.utf8)) == digest)
        try withTemporaryFolder { folder in
            let url = folder.appendingPathComponent("file")
            try Data(text.utf8).write(to: url)
            #expect(try sha256(of: url) == digest)
        }
    }

    @Test("pieces of any size give the hash of the whole", arguments: [1, 3, 55, 56, 63, 64, 65, 127, 1000])
    func pieces(size: Int) {
        let data = Data((0..<1000).map { UInt8(truncatingIfNeeded: $0 * 7) })
        var hash = SHA256()
        for start in stride(from: 0, to: data.count, by: size) {
            data[start..<min(start + size, data.count)].withUnsafeBytes { hash.add($0) }
        }
        #expect(hash.hexadecimal() == sha256(of: data))
    }

    @Test("a file that is not there is named")
    func missing() {
        expectMessage(["/nowhere/file: cannot read: there is no such file or folder; "]) {
            try sha256(of: URL(fileURLWithPath: "/nowhere/file"))
        }
    }
}
