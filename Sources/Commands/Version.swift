// The program's version, and the commit it was built from where that can be told.

import Foundation

/// The program's version.
public enum Version {
    /// As in CHANGELOG.md.
    public static let number = "0.1.0"

    /// `lora 0.1.0 (1a2b3c4)`; without the commit where the program does not lie in a checkout.
    public static var text: String { "lora \(number)" + (commit.map { " (\($0))" } ?? "") }

    /// The first digits of the checkout's commit, read from git's files.
    private static var commit: String? {
        var folder = Engine.ownPath
        while folder.path.count > 1 {
            folder.deleteLastPathComponent()
            let git = folder.appendingPathComponent(".git")
            guard let head = read(git.appendingPathComponent("HEAD")) else { continue }
            guard head.hasPrefix("ref: ") else { return String(head.prefix(7)) }
            return read(git.appendingPathComponent(String(head.dropFirst(5)))).map { String($0.prefix(7)) }
        }
        return nil
    }

    private static func read(_ url: URL) -> String? {
        (try? String(contentsOf: url, encoding: .utf8))?.trimmingCharacters(in: .whitespacesAndNewlines)
    }
}
