// Folders that appear whole or not at all: filled under a temporary name, brought to the disk, then renamed.

import CBlocks
import Foundation

/// Builds whole folders in one step, such as checkpoints.
public enum AtomicFolder {
    /// Lets `body` fill a new folder, then gives it the name `url`.
    ///
    /// If `url` exists it is an error, or with `replacing` the new folder takes its place in one step and the old one
    /// is removed afterwards. What an earlier process left unfinished under this name is removed first.
    public static func build(at url: URL, replacing: Bool = false, _ body: (URL) throws -> Void) throws {
        for leftover in Temporary.leftovers(of: url) { try? FileManager.default.removeItem(at: leftover) }
        if !replacing, exists(url) { throw FormatsError.system(path: url.shownPath, action: "write", code: EEXIST) }
        let temporary = Temporary.name(for: url)
        guard mkdir(temporary.path, 0o777) == 0 else {
            throw FormatsError.system(path: url.shownPath, action: "write", code: errno)
        }
        do {
            try naming(url, for: temporary) { try body(temporary) }
            try flush(temporary, shownAs: url.shownPath)
            try place(temporary, at: url, replacing: replacing)
        } catch {
            try? FileManager.default.removeItem(at: temporary)
            throw error
        }
        Temporary.flush(folder: url.deletingLastPathComponent())
        // After an exchange the old folder has the temporary name.
        try? FileManager.default.removeItem(at: temporary)
    }

    /// Names the folder in errors as it was to be called, not as it is called while it is built.
    private static func naming(_ url: URL, for temporary: URL, _ body: () throws -> Void) throws {
        do {
            try body()
        } catch FormatsError.system(let path, let action, let code) {
            let shown = path.replacingOccurrences(of: temporary.shownPath, with: url.shownPath)
            throw FormatsError.system(path: shown, action: action, code: code)
        }
    }

    private static func exists(_ url: URL) -> Bool {
        var status = stat()
        return lstat(url.path, &status) == 0
    }

    private static func place(_ temporary: URL, at url: URL, replacing: Bool) throws {
        func failure(_ code: Int32) -> FormatsError {
            .system(path: url.shownPath, action: "write", code: code)
        }
        guard replacing, exists(url) else {
            guard rename(temporary.path, url.path) == 0 else { throw failure(errno) }
            return
        }
        switch blocks_exchange(temporary.path, url.path) {
        case 0: return
        case ENOSYS, EINVAL: break  // a file system that cannot exchange
        case let code: throw failure(code)
        }
        let old = Temporary.name(for: url)
        guard rename(url.path, old.path) == 0 else { throw failure(errno) }
        guard rename(temporary.path, url.path) == 0 else {
            let code = errno
            rename(old.path, url.path)
            throw failure(code)
        }
        try? FileManager.default.removeItem(at: old)
    }

    /// Brings every file below `folder` to the disk, then the folders.
    private static func flush(_ folder: URL, shownAs shown: String) throws {
        let keys: [URLResourceKey] = [.isDirectoryKey, .isRegularFileKey]
        let items = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: keys)
        var folders = [folder]
        while let item = items?.nextObject() as? URL {
            let values = try? item.resourceValues(forKeys: Set(keys))
            if values?.isDirectory == true {
                folders.append(item)
            } else if values?.isRegularFile == true {
                try FileSink(creating: item.path, shownAs: shown, flags: 0).flush()
            }
        }
        folders.reversed().forEach(Temporary.flush(folder:))
    }
}
