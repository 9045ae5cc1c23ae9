// Which layers a configuration means.

/// A name or pattern of layers, as written under `target_modules`.
///
/// `all-linear` means every layer that takes adapters; a pattern with `*` must fit a whole path, each `*` standing for
/// any text; any other text must be one or several whole components of a path: `q_proj`, `self_attn`,
/// `layers.0.self_attn`.
public struct TargetPattern: Sendable, Equatable {
    public let text: String

    public init(_ text: String) { self.text = text }

    /// Whether the layer at `path` is meant.
    public func matches(_ path: String) -> Bool {
        if text == "all-linear" { return true }
        if text.contains("*") { return Self.fits(Array(path), Array(text)) }
        return ".\(path).".contains(".\(text).")
    }

    /// Matching with `*`, by the usual two pointers with one place to go back to.
    private static func fits(_ path: [Character], _ pattern: [Character]) -> Bool {
        var (i, j, star, mark) = (0, 0, -1, 0)
        while i < path.count {
            if j < pattern.count, pattern[j] == "*" {
                (star, mark) = (j, i)
                j += 1
            } else if j < pattern.count, pattern[j] == path[i] {
                (i, j) = (i + 1, j + 1)
            } else if star >= 0 {
                mark += 1
                (i, j) = (mark, star + 1)
            } else {
                return false
            }
        }
        return pattern[j...].allSatisfy { $0 == "*" }
    }
}
