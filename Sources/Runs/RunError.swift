// Why a run folder cannot be used: what is there, and what to do about it, on one line.

/// Why a run folder cannot be used.
public enum RunError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The name is taken by a file.
    case notAFolder(path: String)
    /// The folder holds files that no run made.
    case foreignFiles(path: String, files: [String])
    /// The folder holds a run that was asked for something else.
    case otherRun(path: String, differences: [String])
    /// Another process writes this run; 0 where it does not say which.
    case inUse(path: String, process: Int)
    /// A file of the run contradicts its format.
    case damaged(path: String, problem: String, remedy: String)
    /// The folder holds no run.
    case noRun(path: String)

    /// 2 where the configuration asks for the wrong folder, 1 where something failed at work.
    public var exitStatus: Int32 {
        switch self {
        case .notAFolder, .foreignFiles, .otherRun, .noRun: 2
        case .inUse, .damaged: 1
        }
    }

    /// One line for the user.
    public var description: String {
        switch self {
        case .notAFolder(let path):
            "output_dir \(path): this is a file, not a folder; choose another output_dir"
        case .foreignFiles(let path, let files):
            "output_dir \(path): holds \(Self.list(files)) and no run; nothing was changed;"
                + " choose a new or empty folder"
        case .otherRun(let path, let differences):
            "output_dir \(path): holds another run: \(Self.list(differences)); nothing was changed; choose another"
                + " output_dir for this run, or undo the differences to go on with that one"
        case .inUse(let path, let process):
            "output_dir \(path): in use by "
                + (process > 0 ? "process \(process)" : "another process") + "; wait for it to end"
                + (process > 0 ? ", stop it (kill -INT \(process))" : "") + " or choose another output_dir"
        case .damaged(let path, let problem, let remedy): "\(path): \(problem); \(remedy)"
        case .noRun(let path): "\(path): holds no run (there is no facts.json); give the output_dir of a run"
        }
    }

    private static func list(_ items: [String]) -> String {
        let shown = items.prefix(6).joined(separator: ", ")
        return items.count > 6 ? "\(shown) and \(items.count - 6) more" : shown
    }
}
