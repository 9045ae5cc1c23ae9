// The tokens of the pieces met so far: most words of a text have been seen before.

/// A bounded table from a piece's bytes to its tokens.
struct PieceCache {
    /// Longer pieces seldom repeat.
    static let longestPiece = 64

    private struct Slot {
        var hash: UInt64 = 0
        var key: UInt32 = 0
        var tokens: UInt32 = 0
        var keyCount: UInt16 = 0  // 0: free
        var tokenCount: UInt16 = 0
    }

    private static let slotCount = 1 << 15
    private var slots: [Slot] = []
    private var keys: [UInt8] = []
    private var tokens: [UInt32] = []
    private var used = 0

    /// Appends the tokens of `piece` to `output` when they are known.
    @inline(__always)
    func append(_ piece: UnsafeBufferPointer<UInt8>, hash: UInt64, to output: inout [Int]) -> Bool {
        if slots.isEmpty { return false }
        var index = Int(truncatingIfNeeded: hash) & (Self.slotCount - 1)
        while slots[index].keyCount > 0 {
            let slot = slots[index]
            if slot.hash == hash, slot.keyCount == piece.count,
                keys.withUnsafeBufferPointer({ areEqual($0, Int(slot.key), piece) })
            {
                for position in Int(slot.tokens)..<Int(slot.tokens) + Int(slot.tokenCount) {
                    output.append(Int(tokens[position]))
                }
                return true
            }
            index = (index + 1) & (Self.slotCount - 1)
        }
        return false
    }

    /// Remembers the tokens of a piece that is not in the table and not longer than ``longestPiece``.
    mutating func insert(_ piece: UnsafeBufferPointer<UInt8>, hash: UInt64, tokens new: ArraySlice<Int>) {
        if slots.isEmpty || used * 4 >= Self.slotCount * 3 { clear() }
        var index = Int(truncatingIfNeeded: hash) & (Self.slotCount - 1)
        while slots[index].keyCount > 0 { index = (index + 1) & (Self.slotCount - 1) }
        slots[index] = Slot(
            hash: hash, key: UInt32(keys.count), tokens: UInt32(tokens.count), keyCount: UInt16(piece.count),
            tokenCount: UInt16(new.count)
        )
        keys.append(contentsOf: piece)
        for token in new { tokens.append(UInt32(token)) }
        used += 1
    }

    private mutating func clear() {
        slots = Array(repeating: Slot(), count: Self.slotCount)
        keys.removeAll(keepingCapacity: true)
        tokens.removeAll(keepingCapacity: true)
        used = 0
    }
}
