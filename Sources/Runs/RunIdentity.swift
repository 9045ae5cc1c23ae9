// What must agree before a run is gone on with: the settings that shape the adapter and the contents of its files.

import Formats
import Foundation

/// Everything that decides the bytes of the trained adapter.
public struct RunIdentity: Sendable, Equatable {
    /// What was asked for.
    public let configuration: Configuration
    /// The files of the base model.
    public let base: [FileFact]
    /// The files of the training data, validation included.
    public let data: [FileFact]
    /// What else the data says by its arrangement: names of pictures, folders that repeat them.
    public let arrangement: [String]

    /// The identity of a run of `configuration` over files with these contents.
    public init(configuration: Configuration, base: [FileFact], data: [FileFact], arrangement: [String] = []) {
        (self.configuration, self.base, self.data) = (configuration, base, data)
        self.arrangement = arrangement
    }

    /// 64 hexadecimal digits. Files count by contents, in their order, not by name.
    public var hash: String {
        let lines = [configuration.identity, "base"] + base.map(\.sha256) + ["data"] + data.map(\.sha256) + arrangement
        return sha256(of: Data(lines.joined(separator: "\n").utf8))
    }

    /// What differs from an earlier run, as far as its folder tells.
    func differences(from earlier: Configuration?, _ facts: RunFacts) -> [String] {
        let settings = earlier?.differences(to: configuration).filter(\.shapesResult) ?? []
        var found = settings.map { "\($0.key) was \($0.values.0), is \($0.values.1)" }
        found += Self.changes(facts.base?.files, base) + Self.changes(facts.data?.files, data)
        return found.isEmpty ? ["the contents or names of its base model or data were different"] : found
    }

    private static func changes(_ earlier: [FileFact]?, _ now: [FileFact]) -> [String] {
        guard let earlier, earlier.map(\.sha256) != now.map(\.sha256) else { return [] }
        let known = Set(earlier.map(\.sha256))
        let changed = now.filter { !known.contains($0.sha256) }.map { "\($0.path) has other contents" }
        return changed.isEmpty ? ["it had \(earlier.count) files where there are \(now.count)"] : changed
    }
}
