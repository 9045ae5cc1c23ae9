// Byte-pair encoding: the two neighbours with the least rank become one token until none merge (Sennrich et al.,
// arXiv:1508.07909).
// Port of https://github.com/huggingface/tokenizers/blob/main/tokenizers/src/models/bpe

/// Turns a piece of text into token ids.
struct BytePairModel: Sendable {
    /// How a piece is taken apart before merging.
    enum Symbols: Sendable {
        /// Into bytes; the id of each, or -1, and of each at the end of a piece where that is another token.
        case bytes([Int32], last: [Int32]?)
        /// Into characters; those without a token become bytes, the id of each byte or -1.
        case characters(bytes: [Int32])
    }

    let vocabulary: Vocabulary
    let merges: MergeTable
    let symbols: Symbols
    /// What stands for a character that has no token; without it, such a character is dropped.
    var unknownID: Int?
    /// Whether several unknown characters in a row become one token.
    var fusesUnknown = false
    /// Tokens that a whole piece may be at once, whatever the merges say.
    var takesWholePieces = false
    /// Ids that text never turns into, because they are special.
    var specialIDs: Set<Int> = []

    /// Appends the tokens of `piece` to `output`.
    func encode(_ piece: UnsafeBufferPointer<UInt8>, _ workspace: inout Workspace, to output: inout [Int]) {
        guard piece.count <= PieceCache.longestPiece else { return merge(piece, &workspace, to: &output) }
        let hash = hash(piece)
        if workspace.cache.append(piece, hash: hash, to: &output) { return }
        let start = output.count
        merge(piece, &workspace, to: &output)
        workspace.cache.insert(piece, hash: hash, tokens: output[start...])
    }

    private func merge(_ piece: UnsafeBufferPointer<UInt8>, _ workspace: inout Workspace, to output: inout [Int]) {
        if takesWholePieces, let id = wholePiece(piece) { return output.append(id) }
        workspace.symbols.removeAll(keepingCapacity: true)
        takeApart(piece, into: &workspace.symbols)
        if workspace.symbols.count <= 32 { mergeFew(&workspace) } else { mergeMany(&workspace) }
        for symbol in workspace.symbols { output.append(Int(symbol)) }
    }

    private func wholePiece(_ piece: UnsafeBufferPointer<UInt8>) -> Int? {
        let id: Int? =
            switch symbols {
            case .bytes: vocabulary.id(of: ByteAlphabet.spell(piece))
            case .characters: vocabulary.id(of: piece)
            }
        return id.flatMap { specialIDs.contains($0) ? nil : $0 }
    }

    // MARK: - Symbols

    private func takeApart(_ piece: UnsafeBufferPointer<UInt8>, into result: inout [UInt32]) {
        switch symbols {
        case .bytes(let ids, let last):
            var follows = false
            for byte in piece.dropLast() { append(ids[Int(byte)], to: &result, afterUnknown: &follows) }
            if let byte = piece.last { append((last ?? ids)[Int(byte)], to: &result, afterUnknown: &follows) }
        case .characters(let bytes):
            takeCharactersApart(piece, bytes, into: &result)
        }
    }

    private func takeCharactersApart(
        _ piece: UnsafeBufferPointer<UInt8>, _ bytes: [Int32], into result: inout [UInt32]
    ) {
        var follows = false
        var start = 0
        while start < piece.count {
            var end = start + 1
            while end < piece.count, piece[end] & 0xC0 == 0x80 { end += 1 }
            let character = UnsafeBufferPointer(rebasing: piece[start..<end])
            if let id = vocabulary.id(of: character) {
                append(Int32(id), to: &result, afterUnknown: &follows)
            } else if character.allSatisfy({ bytes[Int($0)] >= 0 }) {
                for byte in character { append(bytes[Int(byte)], to: &result, afterUnknown: &follows) }
            } else {
                append(-1, to: &result, afterUnknown: &follows)
            }
            start = end
        }
    }

    @inline(__always)
    private func append(_ id: Int32, to result: inout [UInt32], afterUnknown: inout Bool) {
        if id >= 0 {
            result.append(UInt32(id))
            afterUnknown = false
        } else if let unknownID {
            if !(afterUnknown && fusesUnknown) { result.append(UInt32(unknownID)) }
            afterUnknown = true
        }
    }

    // MARK: - Merging

    /// For short pieces: looks through all pairs for the least, again and again.
    private func mergeFew(_ workspace: inout Workspace) {
        var count = workspace.symbols.count
        guard count > 1 else { return }
        workspace.symbols.withUnsafeMutableBufferPointer { symbols in
            withUnsafeTemporaryAllocation(of: MergeTable.Merge.self, capacity: count) { pairs in
                for index in 0..<count - 1 { pairs[index] = merges[symbols[index], symbols[index + 1]] }
                while count > 1 {
                    var (best, least) = (0, pairs[0])
                    for index in 1..<max(count - 1, 1) where pairs[index] >> 32 < least >> 32 {
                        (best, least) = (index, pairs[index])
                    }
                    if least == MergeTable.none { break }
                    symbols[best] = UInt32(truncatingIfNeeded: least)
                    count -= 1
                    for index in best + 1..<max(count, best + 1) {
                        symbols[index] = symbols[index + 1]
                        pairs[index - 1] = pairs[index]
                    }
                    if best > 0 { pairs[best - 1] = merges[symbols[best - 1], symbols[best]] }
                    if best + 1 < count { pairs[best] = merges[symbols[best], symbols[best + 1]] }
                }
            }
        }
        workspace.symbols.removeSubrange(count...)
    }

    /// For long pieces: a heap of candidates, the least rank first and of equal ones the leftmost.
    private func mergeMany(_ workspace: inout Workspace) {
        let removed = UInt32.max
        let count = workspace.symbols.count
        workspace.link(count)
        for index in 0..<count - 1 { push(index, index + 1, &workspace) }
        while let (rank, index) = workspace.candidates.popLeast() {
            let next = Int(workspace.next[index])
            guard workspace.symbols[index] != removed, next < count else { continue }
            let merge = merges[workspace.symbols[index], workspace.symbols[next]]
            guard merge >> 32 == UInt64(rank), merge != MergeTable.none else { continue }  // an outdated candidate
            workspace.symbols[index] = UInt32(truncatingIfNeeded: merge)
            workspace.symbols[next] = removed
            let after = Int(workspace.next[next])
            workspace.next[index] = Int32(after)
            if after < count {
                workspace.previous[after] = Int32(index)
                push(index, after, &workspace)
            }
            let before = Int(workspace.previous[index])
            if before >= 0 { push(before, index, &workspace) }
        }
        workspace.symbols.removeAll { $0 == removed }
    }

    private func push(_ left: Int, _ right: Int, _ workspace: inout Workspace) {
        let merge = merges[workspace.symbols[left], workspace.symbols[right]]
        if merge != MergeTable.none { workspace.candidates.push(rank: UInt32(merge >> 32), position: left) }
    }
}

/// What encoding needs besides the model; one for each text that is being encoded.
struct Workspace {
    var symbols: [UInt32] = []
    var cache = PieceCache()
    fileprivate var next: [Int32] = []
    fileprivate var previous: [Int32] = []
    fileprivate var candidates = CandidateHeap()

    fileprivate mutating func link(_ count: Int) {
        next = (1...Int32(count)).map { $0 }
        previous = (-1..<Int32(count) - 1).map { $0 }
        candidates.removeAll()
    }
}

/// A binary heap of merges that may happen.
private struct CandidateHeap {
    private var keys: [UInt64] = []  // rank, then position

    mutating func removeAll() { keys.removeAll(keepingCapacity: true) }

    mutating func push(rank: UInt32, position: Int) {
        let key = UInt64(rank) << 32 | UInt64(UInt32(position))
        var index = keys.count
        keys.append(key)
        while index > 0, keys[(index - 1) / 2] > key {
            keys[index] = keys[(index - 1) / 2]
            index = (index - 1) / 2
        }
        keys[index] = key
    }

    mutating func popLeast() -> (rank: UInt32, position: Int)? {
        guard let least = keys.first, let last = keys.popLast() else { return nil }
        if !keys.isEmpty { sink(last) }
        return (UInt32(least >> 32), Int(least & 0xFFFF_FFFF))
    }

    private mutating func sink(_ key: UInt64) {
        var index = 0
        while true {
            var child = index * 2 + 1
            guard child < keys.count else { break }
            if child + 1 < keys.count, keys[child + 1] < keys[child] { child += 1 }
            guard keys[child] < key else { break }
            keys[index] = keys[child]
            index = child
        }
        keys[index] = key
    }
}
