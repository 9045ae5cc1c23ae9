// A sample: tokens, and which of them are trained.

/// The tokens that a model sees at once, and which of them it is trained to predict.
public struct Sample: Sendable, Equatable {
    /// The ids, in order.
    public let tokens: [Int32]
    /// For each token, whether it is a target. The first never is: nothing comes before it.
    public let isTrained: [Bool]
    /// Where the record that it came from begins.
    public let source: SampleSource

    /// Makes a sample; the first token counts as untrained whatever is given.
    init(tokens: [Int32], isTrained: [Bool], source: SampleSource) {
        var isTrained = isTrained
        if !isTrained.isEmpty { isTrained[0] = false }
        (self.tokens, self.isTrained, self.source) = (tokens, isTrained, source)
    }

    /// How many tokens are targets.
    public var trainedCount: Int { isTrained.reduce(0) { $0 + ($1 ? 1 : 0) } }
}
