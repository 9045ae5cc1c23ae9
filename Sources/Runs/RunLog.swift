// `logs/train.log`: what happened, in words, each line with its time.

import Foundation

/// The log of a run for people.
public final class RunLog {
    private let file: AppendedFile

    /// Opens or creates the log.
    public init(_ url: URL) throws { file = try AppendedFile(url) }

    /// Adds a line with its time, as in `2026-03-01T12:00:00Z step 10/200 …`; further lines are indented.
    public func write(_ text: String, at time: Date = Date()) throws {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).joined(separator: "\n    ")
        try file.append(Data("\(time.ISO8601Format()) \(lines)".utf8))
    }
}
