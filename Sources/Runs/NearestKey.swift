// Which known word someone meant: the nearest by edit distance, with neighbouring letters swapped counted as one edit.

/// The candidate nearest to `word`, if it is near enough to be a slip of the pen.
public func nearest(to word: String, among candidates: some Sequence<String>) -> String? {
    let word = word.lowercased()
    guard !word.isEmpty, word.unicodeScalars.count <= 64 else { return nil }
    let scored = candidates.map { (distance: editDistance(word, $0.lowercased()), candidate: $0) }
    guard let best = scored.min(by: { $0.distance < $1.distance }) else { return nil }
    let longest = max(word.unicodeScalars.count, best.candidate.unicodeScalars.count)
    return best.distance <= max(1, longest / 3) ? best.candidate : nil
}

/// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b` (optimal string alignment).
func editDistance(_ a: String, _ b: String) -> Int {
    let (a, b) = (Array(a.unicodeScalars), Array(b.unicodeScalars))
    guard !a.isEmpty, !b.isEmpty else { return max(a.count, b.count) }
    var beforePrevious: [Int] = []
    var previous = Array(0...b.count)
    for i in 1...a.count {
        var current = [i] + Array(repeating: 0, count: b.count)
        for j in 1...b.count {
            let replaced = previous[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)
            current[j] = min(previous[j] + 1, current[j - 1] + 1, replaced)
            if i > 1, j > 1, a[i - 1] == b[j - 2], a[i - 2] == b[j - 1] {
                current[j] = min(current[j], beforePrevious[j - 2] + 1)
            }
        }
        (beforePrevious, previous) = (previous, current)
    }
    return previous[b.count]
}
