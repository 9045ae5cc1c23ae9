// A question as the tokens that a trained model expects before its answer.

import Tokenizers

/// Encodes questions as training lays them out.
public struct PromptEncoder: Sendable {
    private let tokenizer: any TextTokenizer
    private let template: ChatTemplate
    private let bosToken: String
    private let systemPrompt: String?
    private let isRaw: Bool

    /// A tokenizer without a chat template has its questions written in ``PlainTemplate``.
    ///
    /// - Parameter isRaw: what is asked is to be continued as it stands.
    public init(_ tokenizer: any TextTokenizer, systemPrompt: String? = nil, isRaw: Bool = false) throws {
        self.isRaw = isRaw
        self.tokenizer = tokenizer
        self.systemPrompt = systemPrompt
        let source = tokenizer.chatTemplateSource
        var template = try ChatTemplate(source ?? PlainTemplate.source)
        template.clock = TextDataOptions().clock
        self.template = template
        bosToken = source == nil && !tokenizer.addsBOS ? "" : tokenizer.bosToken ?? ""
    }

    /// The conversation so far, and the opening of the answer; or the text as it stands. In a conversation, text of the
    /// user never becomes a special token.
    public func encode(_ question: String) throws -> [Int] {
        if isRaw {
            let tokens = tokenizer.encode(question, allowingSpecialTokens: true)
            guard tokenizer.addsBOS, let bos = tokenizer.bosID, tokens.first != bos else { return tokens }
            return [bos] + tokens
        }
        let system = systemPrompt.map { [ChatMessage(role: "system", content: $0)] } ?? []
        let messages = system + [ChatMessage(role: "user", content: SpecialTextGuard.marking(question))]
        let variables = ["bos_token": bosToken, "eos_token": tokenizer.eosToken ?? ""]
        let text = try template.render(messages, addGenerationPrompt: true, variables: variables)
        return SpecialTextGuard.parts(text).flatMap { text, isGuarded in
            tokenizer.encode(text, allowingSpecialTokens: !isGuarded)
        }
    }
}
