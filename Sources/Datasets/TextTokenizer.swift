// What a data set needs of a tokenizer.

import Tokenizers

/// Turns text into tokens; `Tokenizer` is one.
public protocol TextTokenizer: Sendable {
    var bosToken: String? { get }
    var bosID: Int? { get }
    var eosToken: String? { get }
    var eosID: Int? { get }
    /// Whether the model expects the BOS token before every text.
    var addsBOS: Bool { get }
    /// The tokens after which a model has said all it wanted.
    var endOfTurnIDs: Set<Int> { get }
    var chatTemplateSource: String? { get }
    func encode(_ text: String, allowingSpecialTokens: Bool) -> [Int]
    func decode(_ ids: [Int], skippingSpecialTokens: Bool) -> String
    func token(_ id: Int) -> String?
}

extension Tokenizer: TextTokenizer {}
