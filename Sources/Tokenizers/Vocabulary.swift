// Tokens and their ids, kept as one run of bytes with a hash table, so that large vocabularies load quickly.

/// The tokens of a model, found by their UTF-8 bytes or by their id.
struct Vocabulary: Sendable {
    /// Ids must be below this, so that a damaged file cannot ask for endless memory.
    static let maximumCount = 1 << 22

    private var arena: [UInt8] = []
    private var starts: [Int] = [0]  // entry → first byte; one more than there are entries
    private var ids: [Int32] = []  // entry → id
    private var entries: [Int32] = []  // id → entry, or -1
    private var slots: [Int32]  // hash → entry, or -1

    init(capacity: Int = 0) {
        var size = 16
        while size < min(capacity, Self.maximumCount) * 2 { size *= 2 }
        slots = Array(repeating: -1, count: size)
        starts.reserveCapacity(capacity + 1)
        ids.reserveCapacity(capacity)
        entries.reserveCapacity(capacity)
    }

    /// The number of distinct tokens.
    var count: Int { ids.count }

    /// One more than the largest id.
    var idLimit: Int { entries.count }

    /// The id of a token.
    func id(of token: UnsafeBufferPointer<UInt8>) -> Int? {
        let entry = slots[slot(of: token)]
        return entry < 0 ? nil : Int(ids[Int(entry)])
    }

    /// The id of a token.
    func id(of token: [UInt8]) -> Int? { token.withUnsafeBufferPointer { id(of: $0) } }

    /// The bytes of the token with this id.
    func bytes(of id: Int) -> ArraySlice<UInt8>? {
        guard entries.indices.contains(id), entries[id] >= 0 else { return nil }
        return arena[starts[Int(entries[id])]..<starts[Int(entries[id]) + 1]]
    }

    /// The token with this id.
    func token(_ id: Int) -> String? { bytes(of: id).map { String(decoding: $0, as: UTF8.self) } }

    /// Adds a token; one that exists already gets the new id. `id` must be below ``maximumCount``.
    mutating func insert(_ token: UnsafeBufferPointer<UInt8>, id: Int) {
        var slot = slot(of: token)
        while entries.count <= id { entries.append(-1) }
        if slots[slot] >= 0 {
            ids[Int(slots[slot])] = Int32(id)
            entries[id] = slots[slot]
            return
        }
        if ids.count * 2 >= slots.count {
            grow()
            slot = self.slot(of: token)
        }
        slots[slot] = Int32(ids.count)
        entries[id] = Int32(ids.count)
        ids.append(Int32(id))
        arena.append(contentsOf: token)
        starts.append(arena.count)
    }

    private func slot(of token: UnsafeBufferPointer<UInt8>) -> Int {
        let mask = slots.count - 1
        var slot = Int(truncatingIfNeeded: hash(token)) & mask
        while slots[slot] >= 0, !isEntry(Int(slots[slot]), token) { slot = (slot + 1) & mask }
        return slot
    }

    private func isEntry(_ entry: Int, _ token: UnsafeBufferPointer<UInt8>) -> Bool {
        let start = starts[entry]
        guard starts[entry + 1] - start == token.count else { return false }
        return arena.withUnsafeBufferPointer { areEqual($0, start, token) }
    }

    private mutating func grow() {
        slots = Array(repeating: -1, count: slots.count * 2)
        for entry in ids.indices {
            let place = arena.withUnsafeBufferPointer {
                slot(of: UnsafeBufferPointer(rebasing: $0[starts[entry]..<starts[entry + 1]]))
            }
            slots[place] = Int32(entry)
        }
    }
}

/// A hash of bytes that is quick for short ones.
@inline(__always)
func hash(_ bytes: UnsafeBufferPointer<UInt8>) -> UInt64 {
    var state = UInt64(truncatingIfNeeded: bytes.count) &* 0x9E37_79B9_7F4A_7C15
    let raw = UnsafeRawBufferPointer(bytes)
    var position = 0
    while position + 8 <= raw.count {
        state = mix(state ^ raw.loadUnaligned(fromByteOffset: position, as: UInt64.self))
        position += 8
    }
    var tail: UInt64 = 0
    while position < raw.count {
        tail = tail << 8 | UInt64(raw[position])
        position += 1
    }
    return mix(state ^ tail)
}

/// Spreads every bit of `value` over the whole word.
@inline(__always)
func mix(_ value: UInt64) -> UInt64 {
    let product = value.multipliedFullWidth(by: 0xD6E8_FEB8_6659_FD93)
    return product.high ^ product.low
}

/// Whether `token` stands in `arena` from `start` on; the lengths are known to fit.
@inline(__always)
func areEqual(_ arena: UnsafeBufferPointer<UInt8>, _ start: Int, _ token: UnsafeBufferPointer<UInt8>) -> Bool {
    for index in 0..<token.count where arena[start + index] != token[index] { return false }
    return true
}
