// Everything that can be wrong with a file, said in one line: which file, where in it, what is wrong, what to do.

import Foundation

/// Why a file could not be read or written.
public enum FormatsError: Error, CustomStringConvertible, Equatable, Sendable {
    /// The system refused: `code` is its `errno`.
    case system(path: String, action: String, code: Int32)
    /// The bytes contradict the format; `place` is a tensor, a key or a part of the file.
    case damaged(path: String, place: String?, problem: String)
    /// The file is well, but of a kind that is not read or cannot be used so.
    case unsupported(path: String, place: String?, problem: String, remedy: String)
    /// Something was asked for that the file does not hold.
    case missing(path: String, place: String, problem: String, remedy: String)
    /// What was to be written does not fit together.
    case inconsistent(path: String, place: String, problem: String)

    /// One line for the user.
    public var description: String {
        switch self {
        case .system(let path, let action, let code):
            "\(path.onOneLine): cannot \(action): \(Self.words(code)); \(Self.remedy(code, path: path))"
        case .damaged(let path, let place, let problem):
            Self.line(path, place, problem, "the file is damaged or cut off: fetch it again")
        case .unsupported(let path, let place, let problem, let remedy):
            Self.line(path, place, problem, remedy)
        case .missing(let path, let place, let problem, let remedy):
            Self.line(path, place, problem, remedy)
        case .inconsistent(let path, let place, let problem):
            Self.line(path, place, problem, "nothing was written")
        }
    }

    private static func line(_ path: String, _ place: String?, _ problem: String, _ remedy: String) -> String {
        let parts = [path.onOneLine, place?.onOneLine, "\(problem); \(remedy)"]
        return parts.compactMap { $0 }.joined(separator: ": ")
    }

    private static func words(_ code: Int32) -> String {
        switch code {
        case ENOENT: "there is no such file or folder"
        case EACCES, EPERM: "permission denied"
        case ENOSPC: "the disk is full"
        case EDQUOT: "the disk quota is used up"
        case EROFS: "the file system is read-only"
        case EISDIR: "it is a folder"
        case ENOTDIR: "a part of the path is a file, not a folder"
        case EEXIST, ENOTEMPTY: "it exists already"
        default: String(cString: strerror(code))
        }
    }

    private static func remedy(_ code: Int32, path: String) -> String {
        switch code {
        case ENOENT: "check the path"
        case EACCES, EPERM: "change its permissions or those of its folder, or choose another path"
        case ENOSPC, EDQUOT: "free some space or choose another disk; what was there before is unchanged"
        case EROFS: "choose a folder on another file system"
        case EISDIR: "name a file"
        case EMFILE, ENFILE: "close other programs or raise the limit of open files (ulimit -n)"
        case ENOMEM: "close other programs or raise the limit of memory (ulimit -v)"
        case EEXIST, ENOTEMPTY: "choose another path or remove it first"
        default: "check the path and the disk"
        }
    }
}

extension String {
    /// Text of a file, made safe for a one-line message: no control characters, at most 120 characters.
    public var onOneLine: String {
        let shown = count <= 120 ? self : prefix(80) + "…" + suffix(30)
        return shown.unicodeScalars.reduce(into: "") { text, scalar in
            switch scalar.properties.generalCategory {
            case .control, .lineSeparator, .paragraphSeparator: text += "\\u{\(String(scalar.value, radix: 16))}"
            default: text.unicodeScalars.append(scalar)
            }
        }
    }
}

extension BinaryInteger {
    /// `1234567` as `1,234,567`.
    var grouped: String {
        let digits = String(magnitude)
        let groups = stride(from: digits.count, to: 0, by: -3).map { end in
            String(digits.prefix(end).suffix(3))
        }
        return (self < 0 ? "-" : "") + groups.reversed().joined(separator: ",")
    }
}

extension URL {
    /// The path as the user gave it.
    var shownPath: String { isFileURL ? relativePath : absoluteString }
}
