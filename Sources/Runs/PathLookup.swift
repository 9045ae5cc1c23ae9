// Where the paths of a configuration file are looked for.

import Foundation

/// Where the paths of a configuration file are looked for: beside the file, then in the working directory.
public struct PathLookup: Sendable {
    /// The configuration file's folder as the user wrote it, empty for the working directory; nil: no looking.
    private let folder: String?

    /// Paths are taken as they are written, and need not exist.
    public static let asWritten = PathLookup()

    /// Paths must exist, in `folder` or else in the working directory.
    public init(folder: String) { self.folder = folder }

    private init() { folder = nil }

    /// Whether the file's folder is the working directory.
    var isInWorkingDirectory: Bool { folder?.isEmpty ?? true }

    /// The path that can be opened from the working directory; nil where nothing is there.
    func find(_ path: String, besideFile: Bool) -> String? {
        let path = Self.tidy(path)
        guard let folder else { return path }
        if besideFile, !path.hasPrefix("/"), !folder.isEmpty {
            let beside = Self.tidy(folder + "/" + path)
            if FileManager.default.fileExists(atPath: beside) { return beside }
        }
        return FileManager.default.fileExists(atPath: path) ? path : nil
    }

    /// Without `./`, doubled or closing slashes; `~` is the home folder.
    static func tidy(_ path: String) -> String {
        let path = path == "~" || path.hasPrefix("~/") ? NSHomeDirectory() + path.dropFirst() : path
        let parts = path.split(separator: "/").filter { $0 != "." }
        let joined = parts.joined(separator: "/")
        if path.hasPrefix("/") { return "/" + joined }
        return joined.isEmpty && !path.isEmpty ? "." : joined
    }
}
