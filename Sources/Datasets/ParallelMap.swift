// Work on many elements with all cores.

import Foundation

extension Array where Element: Sendable {
    /// `map` in chunks on all cores; the first error in order is thrown.
    func parallelMap<Result: Sendable>(
        chunk: Int = 256, _ transform: @escaping @Sendable (Element) throws -> Result
    ) throws -> [Result] {
        let chunks = (count + chunk - 1) / chunk
        guard chunks > 1 else { return try map(transform) }
        let results = ChunkResults<Result>(count: chunks)
        DispatchQueue.concurrentPerform(iterations: chunks) { index in
            let range = index * chunk..<Swift.min((index + 1) * chunk, count)
            results.set(index, Swift.Result { try self[range].map(transform) })
        }
        var all: [Result] = []
        all.reserveCapacity(count)
        for result in results.values { all += try result?.get() ?? [] }
        return all
    }
}

/// The results of chunks; every access holds the lock, which makes it safe to share.
private final class ChunkResults<Value: Sendable>: @unchecked Sendable {
    private let lock = NSLock()
    private var results: [Result<[Value], any Error>?]

    init(count: Int) { results = Array(repeating: nil, count: count) }

    func set(_ index: Int, _ result: Result<[Value], any Error>) { lock.withLock { results[index] = result } }

    var values: [Result<[Value], any Error>?] { lock.withLock { results } }
}
