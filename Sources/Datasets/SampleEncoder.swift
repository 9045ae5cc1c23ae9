// Turns an example into tokens, and marks which of them are trained.

import Tokenizers

/// The samples of one example and what is worth telling about them.
struct EncodedExample: Sendable {
    var samples: [Sample] = []
    var notes: SampleNotes = []
}

/// Encodes examples with a tokenizer and, for conversations, a chat template.
struct SampleEncoder: Sendable {
    private let tokenizer: any TextTokenizer
    private let options: TextDataOptions
    private let renderer: ConversationRenderer
    /// True when conversations are written in ``PlainTemplate``.
    let usesPlainLayout: Bool
    private let readsClock: Bool

    init(_ tokenizer: any TextTokenizer, _ options: TextDataOptions) throws {
        self.tokenizer = tokenizer
        self.options = options
        let source = tokenizer.chatTemplateSource
        var template = try ChatTemplate(source ?? PlainTemplate.source)
        template.clock = options.clock
        let bos = source == nil && !tokenizer.addsBOS ? "" : tokenizer.bosToken ?? ""
        renderer = ConversationRenderer(template, variables: ["bos_token": bos, "eos_token": tokenizer.eosToken ?? ""])
        usesPlainLayout = source == nil
        readsClock = template.readsClock
    }

    /// Whether samples of a format are texts as they stand, or prompts directly followed by their completions.
    func isRaw(_ format: DataFormat) -> Bool {
        usesPlainLayout && options.systemPrompt == nil && [.text, .promptCompletion].contains(format)
    }

    /// What the user should know before anything is encoded.
    func warnings(_ format: DataFormat) -> [String] {
        guard format != .text else { return [] }
        if usesPlainLayout && format != .promptCompletion {
            return [
                "no chat template: conversations are written as '### Instruction:' and '### Response:' in plain text"
            ]
        }
        if usesPlainLayout { return ["no chat template: completions directly follow their prompts"] }
        return readsClock ? ["the chat template writes a date; it is fixed, so that the run can be repeated"] : []
    }

    /// The samples of an example, before any limit on their length.
    func encode(_ example: Example) throws -> EncodedExample {
        var result: EncodedExample
        switch example.content {
        case .text(let text): result = encode([Piece(text: text, isTrained: true)], example.source)
        case .exchange(nil, let prompt, let completion) where usesPlainLayout && options.systemPrompt == nil:
            result = encode(
                [Piece(text: prompt, isTrained: false), Piece(text: completion, isTrained: true)], example.source)
        case .exchange(let system, let prompt, let completion):
            let opening = system.map { [ChatMessage(role: "system", content: $0)] } ?? []
            result = try conversation(
                opening + [
                    ChatMessage(role: "user", content: prompt), ChatMessage(role: "assistant", content: completion),
                ], example.source)
        case .conversation(let messages): result = try conversation(messages, example.source)
        }
        if example.hasEmptyAnswer { result.notes.insert(.emptyAnswer) }
        return result
    }

    /// Text without a template: the BOS token where the model expects it, and the EOS token, which is trained.
    ///
    /// Special tokens written in such text are recognised: it is often a conversation laid out beforehand.
    private func encode(_ pieces: [Piece], _ source: SampleSource) -> EncodedExample {
        var (tokens, isTrained): ([Int32], [Bool]) = ([], [])
        for piece in pieces {
            let ids = tokenizer.encode(piece.text, allowingSpecialTokens: true)
            tokens += ids.map { Int32(truncatingIfNeeded: $0) }
            isTrained += Array(repeating: piece.isTrained || options.trainsOnPrompt, count: ids.count)
        }
        if tokenizer.addsBOS, let bos = tokenizer.bosID, tokens.first != Int32(truncatingIfNeeded: bos) {
            tokens.insert(Int32(truncatingIfNeeded: bos), at: 0)
            isTrained.insert(false, at: 0)
        }
        var notes: SampleNotes = []
        if let eos = tokenizer.eosID {
            if tokens.last != Int32(truncatingIfNeeded: eos) {
                tokens.append(Int32(truncatingIfNeeded: eos))
                isTrained.append(true)
            }
        } else {
            notes.insert(.noEnd)
        }
        return EncodedExample(samples: [Sample(tokens: tokens, isTrained: isTrained, source: source)], notes: notes)
    }

    // MARK: - Conversations

    private func conversation(_ messages: [ChatMessage], _ source: SampleSource) throws -> EncodedExample {
        var messages = messages
        if let system = options.systemPrompt, messages.first?.role != "system" {
            messages.insert(ChatMessage(role: "system", content: system), at: 0)
        }
        var result = EncodedExample()
        let guarded = messages.map(guardedMessage)
        if guarded != messages { result.notes.insert(.specialText) }
        let rendered: (samples: [[Piece]], notes: SampleNotes)
        do {
            rendered = try renderer.samples(guarded)
        } catch {
            throw DatasetError.place(file: source.file, line: source.line, problem: "\(error)")
        }
        result.notes.formUnion(rendered.notes)
        for pieces in rendered.samples { result.samples.append(encode(pieces, source, &result.notes)) }
        return result
    }

    private func encode(_ pieces: [Piece], _ source: SampleSource, _ notes: inout SampleNotes) -> Sample {
        var (tokens, isTrained): ([Int32], [Bool]) = ([], [])
        for piece in pieces {
            var ids = SpecialTextGuard.parts(piece.text).flatMap { text, isGuarded in
                tokenizer.encode(text, allowingSpecialTokens: !isGuarded)
            }
            if piece.isTrained { endTurn(&ids, piece.text, &notes) }
            tokens += ids.map { Int32(truncatingIfNeeded: $0) }
            isTrained += Array(repeating: piece.isTrained || options.trainsOnPrompt, count: ids.count)
        }
        return Sample(tokens: tokens, isTrained: isTrained, source: source)
    }

    /// Makes sure that an answer ends with something that tells the model to stop.
    private func endTurn(_ ids: inout [Int], _ text: String, _ notes: inout SampleNotes) {
        guard !ids.contains(where: tokenizer.endOfTurnIDs.contains) else { return }
        guard let eos = tokenizer.eosID else {
            notes.insert(.noEnd)
            return
        }
        notes.insert(.endAdded)
        ids.append(eos)
    }

    /// The message with marks around its text when that would otherwise turn into special tokens.
    private func guardedMessage(_ message: ChatMessage) -> ChatMessage {
        let text = message.content
        guard text.utf8.contains(where: { $0 == UInt8(ascii: "<") || $0 == UInt8(ascii: "[") }),
            tokenizer.encode(text, allowingSpecialTokens: true)
                != tokenizer.encode(text, allowingSpecialTokens: false)
        else { return message }
        return ChatMessage(role: message.role, content: SpecialTextGuard.marking(text))
    }
}

/// Marks text in which special tokens must not be recognised, on its way through a chat template.
///
/// The marks are the last two private-use code points, put inside the white space at the text's ends so that templates
/// can still trim it.
enum SpecialTextGuard {
    static let open: Unicode.Scalar = "\u{10FFFC}"
    static let close: Unicode.Scalar = "\u{10FFFD}"

    static func marking(_ text: String) -> String {
        let scalars = text.unicodeScalars.filter { $0 != open && $0 != close }
        let body = String(String.UnicodeScalarView(scalars))
        let core = body.trimmingSpace
        guard !core.isEmpty else { return body }
        let leading = body.unicodeScalars.prefix { $0.properties.isWhitespace }
        let trailing = body.unicodeScalars.dropFirst(leading.count + core.unicodeScalars.count)
        return String(leading) + String(open) + core + String(close) + String(trailing)
    }

    /// The text in parts, and whether each was marked.
    static func parts(_ text: String) -> [(text: String, isGuarded: Bool)] {
        guard text.unicodeScalars.contains(where: { $0 == open || $0 == close }) else { return [(text, false)] }
        var result: [(text: String, isGuarded: Bool)] = []
        var current = String.UnicodeScalarView()
        var isGuarded = false
        for scalar in text.unicodeScalars {
            if scalar == open || scalar == close {
                if !current.isEmpty { result.append((String(current), isGuarded)) }
                current = String.UnicodeScalarView()
                isGuarded = scalar == open
            } else {
                current.append(scalar)
            }
        }
        if !current.isEmpty { result.append((String(current), isGuarded)) }
        return result
    }
}
