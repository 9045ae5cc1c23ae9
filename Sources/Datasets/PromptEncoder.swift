// A question as the tokens that a trained model expects before its answer.

import Tokenizers

/// Encodes questions with the same template that training uses.
public struct PromptEncoder: Sendable {
    private let tokenizer: any TextTokenizer
    private let template: ChatTemplate
    private let bosToken: String
    private let systemPrompt: String?

    /// A tokenizer without a chat template has its questions written in ``PlainTemplate``.
    public init(_ tokenizer: any TextTokenizer, systemPrompt: String? = nil) throws {
        self.tokenizer = tokenizer
        self.systemPrompt = systemPrompt
        let source = tokenizer.chatTemplateSource
        var template = try ChatTemplate(source ?? PlainTemplate.source)
        template.clock = TextDataOptions().clock
        self.template = template
        bosToken = source == nil && !tokenizer.addsBOS ? "" : tokenizer.bosToken ?? ""
    }

    /// The conversation so far, and the opening of the answer. Text of the user never becomes a special token.
    public func encode(_ question: String) throws -> [Int] {
        let system = systemPrompt.map { [ChatMessage(role: "system", content: $0)] } ?? []
        let messages = system + [ChatMessage(role: "user", content: SpecialTextGuard.marking(question))]
        let variables = ["bos_token": bosToken, "eos_token": tokenizer.eosToken ?? ""]
        let text = try template.render(messages, addGenerationPrompt: true, variables: variables)
        return SpecialTextGuard.parts(text).flatMap { text, isGuarded in
            tokenizer.encode(text, allowingSpecialTokens: !isGuarded)
        }
    }
}
