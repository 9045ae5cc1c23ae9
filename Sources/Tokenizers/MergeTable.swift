// Which two neighbouring tokens become one, and in which order.

/// The merges of a byte-pair encoding, found by their two parts.
struct MergeTable: Sendable {
    /// The rank of a merge in the upper half and the id of its result in the lower; the least is merged first.
    typealias Merge = UInt64

    /// What is returned for two tokens that do not merge.
    static let none = Merge.max

    private struct Slot {
        var pair: UInt64
        var merge: Merge
    }

    private var slots: [Slot]
    private(set) var count = 0

    init(capacity: Int) {
        var size = 16
        while size < capacity * 2 { size *= 2 }
        slots = Array(repeating: Slot(pair: .max, merge: Self.none), count: size)
    }

    /// The merge of two ids.
    @inline(__always)
    subscript(left: UInt32, right: UInt32) -> Merge {
        let pair = UInt64(left) << 32 | UInt64(right)
        let mask = slots.count - 1
        var slot = Int(truncatingIfNeeded: mix(pair)) & mask
        while slots[slot].pair != pair {
            if slots[slot].pair == .max { return Self.none }
            slot = (slot + 1) & mask
        }
        return slots[slot].merge
    }

    /// Adds a merge; of two with the same parts, the later one holds.
    mutating func insert(left: Int, right: Int, result: Int, rank: Int) {
        if count * 2 >= slots.count { grow() }
        let slot = Slot(
            pair: UInt64(UInt32(left)) << 32 | UInt64(UInt32(right)),
            merge: UInt64(UInt32(rank)) << 32 | UInt64(UInt32(result))
        )
        if place(slot) { count += 1 }
    }

    /// Every merge in its order.
    var ordered: [(left: Int, right: Int, result: Int, rank: Int)] {
        slots.filter { $0.pair != .max }.sorted { ($0.merge, $0.pair) < ($1.merge, $1.pair) }.map {
            (Int($0.pair >> 32), Int($0.pair & 0xFFFF_FFFF), Int($0.merge & 0xFFFF_FFFF), Int($0.merge >> 32))
        }
    }

    private mutating func place(_ new: Slot) -> Bool {
        let mask = slots.count - 1
        var index = Int(truncatingIfNeeded: mix(new.pair)) & mask
        while slots[index].pair != .max, slots[index].pair != new.pair { index = (index + 1) & mask }
        let isNew = slots[index].pair == .max
        slots[index] = new
        return isNew
    }

    private mutating func grow() {
        let old = slots
        slots = Array(repeating: Slot(pair: .max, merge: Self.none), count: old.count * 2)
        for slot in old where slot.pair != .max { _ = place(slot) }
    }
}
