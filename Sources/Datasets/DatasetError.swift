// What can be wrong with training data.

/// Training data that cannot be used; the description is one line with file, place and remedy.
public enum DatasetError: Error, Sendable, Equatable, CustomStringConvertible {
    /// A file or folder that cannot be read at all.
    case file(String, problem: String)
    /// A place in a file that is not as it must be.
    case place(file: String, line: Int, problem: String)
    /// Nothing to train on, after all files were read.
    case empty(String, problem: String)
    /// Pictures that cannot be trained on; all of them are named.
    case broken(String, pictures: [BrokenPicture])
    /// The options contradict themselves.
    case option(String, problem: String)

    public var description: String {
        if case .broken = self { message } else { message.excerpt(2000) }
    }

    private var message: String {
        switch self {
        case .file(let file, let problem), .empty(let file, let problem): "\(file): \(problem)"
        case .place(let file, let line, let problem): "\(file):\(line): \(problem)"
        case .broken(let folder, let pictures):
            "\(folder): \(counted(pictures.count, "picture")) cannot be trained on: "
                + pictures.map { "\($0.name) (\($0.problem))" }.joined(separator: ", ")
                + "; repair or remove \(pictures.count == 1 ? "it" : "them"), or set skip_broken to go on without"
        case .option(let name, let problem): "\(name): \(problem)"
        }
    }
}

/// A picture that cannot be trained on.
public struct BrokenPicture: Error, Sendable, Equatable {
    /// The picture's path in the folder.
    public let name: String
    /// What is wrong with it.
    public let problem: String
}

extension String {
    /// At most `count` characters on one line, for messages.
    func excerpt(_ count: Int = 40) -> String {
        let line = String(
            String.UnicodeScalarView(
                unicodeScalars.prefix(count).map { $0.value < 32 || $0.value == 127 ? " " : $0 }))
        return unicodeScalars.dropFirst(count).isEmpty ? line : line + "…"
    }
}
