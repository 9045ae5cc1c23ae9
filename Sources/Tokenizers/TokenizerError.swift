// What can go wrong with the files of a tokenizer, each told in one line.

/// A tokenizer's files that cannot be used, with the place and what to do.
public enum TokenizerError: Error, CustomStringConvertible, Equatable, Sendable {
    /// A file is absent, or cannot be read or written.
    case unusableFile(file: String, reason: String, remedy: String)
    /// A key is missing, or holds something else than it must.
    case malformed(file: String, key: String, expected: String, got: String)
    /// The file is not JSON from a certain byte on.
    case notJSON(file: String, offset: Int, expected: String, got: String)
    /// The file is sound, but asks for something that is not implemented.
    case unsupported(file: String, key: String, got: String, supported: [String])

    /// One line for the user.
    public var description: String {
        String(message.map { $0.isNewline || $0 == "\0" ? "␤" : $0 })
    }

    private var message: String {
        switch self {
        case .unusableFile(let file, let reason, let remedy):
            "\(file): \(reason); \(remedy)"
        case .malformed(let file, let key, let expected, let got):
            "\(file): '\(key)' must be \(expected), got \(got); the file is damaged: fetch it again"
        case .notJSON(let file, let offset, let expected, let got):
            "\(file): not JSON at byte \(offset): expected \(expected), got \(got); "
                + "the file is damaged or cut off: fetch it again"
        case .unsupported(let file, let key, let got, let supported):
            "\(file): '\(key)' is \(got), which lora does not read; it reads \(supported.joined(separator: ", "))"
        }
    }
}
