// What a data set needs of a tokenizer.

import Tokenizers

/// Turns text into tokens; `Tokenizer` is one.
public protocol TextTokenizer: Sendable {
    /// The token that begins a text, as the vocabulary spells it.
    var bosToken: String? { get }
    /// The id of `bosToken`.
    var bosID: Int? { get }
    /// The token that ends a text, as the vocabulary spells it.
    var eosToken: String? { get }
    /// The id of `eosToken`.
    var eosID: Int? { get }
    /// Whether the model expects the BOS token before every text.
    var addsBOS: Bool { get }
    /// The tokens after which a model has said all it wanted.
    var endOfTurnIDs: Set<Int> { get }
    /// The model's chat template in Jinja; nil where it has none.
    var chatTemplateSource: String? { get }
    /// The ids of `text`, nothing put around it; with `allowingSpecialTokens` false, none of them is special.
    func encode(_ text: String, allowingSpecialTokens: Bool) -> [Int]
    /// The text of `ids`; unknown ids are passed over.
    func decode(_ ids: [Int], skippingSpecialTokens: Bool) -> String
    /// The token with this id as the vocabulary spells it.
    func token(_ id: Int) -> String?
}

extension Tokenizer: TextTokenizer {}
