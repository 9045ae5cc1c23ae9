// Text generation: several sequences at once, token by token.

import Torch

/// How the next token is chosen.
public struct SamplingOptions: Sendable {
    /// New tokens of the longest answer; 0 or less gives none.
    public var maxTokens: Int
    /// 0 takes the most probable token every time.
    public var temperature: Double
    /// Only the most probable tokens that together reach this share are drawn from (Holtzman et al., arXiv:1904.09751).
    public var topP: Double
    /// What the choices follow from where the temperature is above 0.
    public var seed: Int

    /// Takes the most probable token every time unless told otherwise.
    public init(maxTokens: Int, temperature: Double = 0, topP: Double = 1, seed: Int = 42) {
        (self.maxTokens, self.temperature, self.topP, self.seed) = (maxTokens, temperature, topP, seed)
    }
}

extension Llama {
    /// Continues each of `prompts` until one of `stops` or `maxTokens`; the stop itself is not given back.
    ///
    /// Ends at the model's context length, too, and throws where a prompt leaves no room in it.
    ///
    /// - Parameter onToken: hears of each new token and the place of its prompt as soon as it is chosen.
    public func generate(
        _ prompts: [[Int]], _ options: SamplingOptions, stops: Set<Int>,
        onToken: (Int, Int) throws -> Void = { _, _ in }
    ) throws -> [[Int]] {
        guard options.maxTokens > 0 else { return prompts.map { _ in [] } }
        if let empty = prompts.firstIndex(where: \.isEmpty) {
            throw TorchError.failed("prompt \(empty + 1) is empty: there is nothing to continue")
        }
        if let largest = prompts.joined().max(), largest >= config.vocabularySize {
            throw ModelError.token(largest, vocabulary: config.vocabularySize)
        }
        let limit = config.contextLength ?? 1 << 16
        if let long = prompts.map(\.count).max(), long >= limit {
            throw ModelError.promptTooLong(tokens: long, limit: limit)
        }
        return try withoutGradients {
            let caches = prompts.map { prompt in
                KeyValueCache(layers: config.layers, capacity: min(limit, prompt.count + options.maxTokens))
            }
            var streams = prompts.indices.map { RandomStream(seed: options.seed, purpose: "generate.\($0)") }
            var answers = prompts.map { _ in [Int]() }
            var (open, next) = (Array(prompts.indices), prompts)
            for _ in 0..<options.maxTokens where !open.isEmpty {
                let logits = try nextLogits(next, caches: open.map { caches[$0] })
                var left: [(place: Int, token: Int)] = []
                for (row, place) in open.enumerated() {
                    let token = try choose(logits.narrow(0, row, 1), options, &streams[place])
                    guard !stops.contains(token) else { continue }
                    answers[place].append(token)
                    try onToken(place, token)
                    if caches[place].count < limit { left.append((place, token)) }
                }
                (open, next) = (left.map(\.place), left.map { [$0.token] })
            }
            return answers
        }
    }
}

/// One token out of logits (1, vocabulary).
private func choose(_ logits: Tensor, _ options: SamplingOptions, _ stream: inout RandomStream) throws -> Int {
    guard options.temperature > 0 else { return try logits.argmax(-1).array(Int.self)[0] }
    let probabilities = try (logits * (1 / options.temperature)).softmax(-1, dtype: .float32).array(Float.self)
    let order = probabilities.indices.sorted { probabilities[$0] > probabilities[$1] }
    var (kept, sum) = (0, Float(0))
    while kept < order.count, sum < Float(options.topP) || kept == 0 {
        sum += probabilities[order[kept]]
        kept += 1
    }
    var point = stream.uniform() * sum
    for index in order.prefix(kept) {
        point -= probabilities[index]
        if point < 0 { return index }
    }
    return order[kept - 1]
}
