// Lays a conversation out with a chat template and finds which parts of it are answers.

import Tokenizers

/// A stretch of a rendered conversation.
struct Piece: Sendable, Equatable {
    let text: String
    let isTrained: Bool
}

/// Things that happened to samples and are worth telling.
struct SampleNotes: OptionSet, Sendable, Hashable {
    let rawValue: Int
    /// The template rewrites earlier turns, so each answer became a sample.
    static let dividedByTurn = SampleNotes(rawValue: 1)
    /// What the template puts before an answer differs between training and generation.
    static let promptDiffers = SampleNotes(rawValue: 2)
    /// Turns after the last answer were left out.
    static let trailingTurns = SampleNotes(rawValue: 4)
    /// The template does not end the turn; the end-of-text token was added.
    static let endAdded = SampleNotes(rawValue: 8)
    /// The template does not end the turn, and the model has no end-of-text token.
    static let noEnd = SampleNotes(rawValue: 16)
    /// The text contains what looks like a special token; it was encoded as ordinary text.
    static let specialText = SampleNotes(rawValue: 32)
    static let emptyAnswer = SampleNotes(rawValue: 64)
    static let noAnswer = SampleNotes(rawValue: 128)
    static let answerCutOff = SampleNotes(rawValue: 256)
}

/// Renders conversations turn by turn.
struct ConversationRenderer: Sendable {
    private let template: ChatTemplate
    private let variables: [String: String]
    /// Templates of models such as LLaMA 2 put nothing before an answer.
    private let hasGenerationPrompt: Bool

    init(_ template: ChatTemplate, variables: [String: String]) {
        self.template = template
        self.variables = variables
        let probe = [ChatMessage(role: "user", content: "x")]
        let plain = try? template.render(probe, addGenerationPrompt: false, variables: variables)
        let prompted = try? template.render(probe, addGenerationPrompt: true, variables: variables)
        hasGenerationPrompt = plain != prompted
    }

    /// The samples of a conversation as pieces: one, or one for each answer where the template rewrites earlier turns.
    func samples(_ messages: [ChatMessage]) throws -> (samples: [[Piece]], notes: SampleNotes) {
        var notes: SampleNotes = []
        var pieces: [Piece] = []
        var turns: [[Piece]] = []
        var rendered = "".utf8[...]
        var isIncremental = true
        for index in messages.indices where messages[index].role == "assistant" {
            let full = try render(messages[...index], prompting: false)
            let cut = try boundary(messages[...index], full, &notes)
            let (prompt, answer) = (full.utf8.prefix(cut), full.utf8.dropFirst(cut))
            turns.append([Piece(prompt, isTrained: false), Piece(answer, isTrained: true)])
            if isIncremental, rendered.count <= cut, prompt.starts(with: rendered) {
                pieces.append(Piece(prompt.dropFirst(rendered.count), isTrained: false))
                pieces.append(Piece(answer, isTrained: true))
            } else {
                isIncremental = false
            }
            rendered = full.utf8[...]
        }
        if turns.isEmpty {
            let whole = Piece(text: try render(messages[...], prompting: false), isTrained: false)
            return ([[whole]], .noAnswer)
        }
        if messages.last?.role != "assistant" { notes.insert(.trailingTurns) }
        if !isIncremental { notes.insert(.dividedByTurn) }
        return (isIncremental ? [pieces] : turns, notes)
    }

    private func render(_ messages: ArraySlice<ChatMessage>, prompting: Bool) throws -> String {
        try template.render(Array(messages), addGenerationPrompt: prompting, variables: variables)
    }

    /// Where the answer that ends `messages` begins in `full`, in bytes.
    private func boundary(
        _ messages: ArraySlice<ChatMessage>, _ full: String, _ notes: inout SampleNotes
    ) throws -> Int {
        let earlier = messages.dropLast()
        // Many templates look at the first message, so there is nothing to render before it.
        let prompt = earlier.isEmpty ? "" : try render(earlier, prompting: true)
        let answer = messages.last?.content.trimmingSpace ?? ""
        if full.utf8.starts(with: prompt.utf8) {
            guard !hasGenerationPrompt || earlier.isEmpty else { return prompt.utf8.count }
            return prompt.utf8.count + headerLength(full.utf8.dropFirst(prompt.utf8.count), answer)
        }
        let before = try render(earlier, prompting: false)
        let common = zip(full.unicodeScalars, prompt.unicodeScalars).prefix { $0 == $1 }
            .reduce(0) { $0 + UTF8.width($1.0) }
        guard full.utf8.starts(with: before.utf8), common >= before.utf8.count else {
            throw DatasetError.option(
                "chat template",
                problem: "the text before an answer changes once the answer is known, so the "
                    + "trained part cannot be told; give another chat template or use plain prompt/completion data")
        }
        notes.insert(.promptDiffers)
        return common + headerLength(full.utf8.dropFirst(common), answer)
    }

    /// The length of what the template puts before the answer here, unless it is only space.
    private func headerLength(_ tail: Substring.UTF8View, _ answer: String) -> Int {
        guard !answer.isEmpty else { return 0 }
        let (bytes, wanted) = (Array(tail), Array(answer.utf8))
        guard let start = bytes.firstIndex(of: wanted) else { return 0 }
        return bytes[..<start].allSatisfy { $0 == 32 || (9...13).contains($0) } ? 0 : start
    }
}

extension Piece {
    init(_ text: Substring.UTF8View, isTrained: Bool) {
        self.init(text: String(Substring(text)), isTrained: isTrained)
    }
}

extension Array where Element == UInt8 {
    /// Where `part` (not empty) first occurs.
    func firstIndex(of part: [UInt8]) -> Int? {
        guard let first = part.first, count >= part.count else { return nil }
        return (0...count - part.count).first { start in
            self[start] == first && self[start..<start + part.count].elementsEqual(part)
        }
    }
}

extension String {
    /// The text without white space at its ends.
    var trimmingSpace: String {
        var rest = unicodeScalars[...].drop { $0.properties.isWhitespace }
        while let last = rest.last, last.properties.isWhitespace { rest.removeLast() }
        return String(rest)
    }
}
