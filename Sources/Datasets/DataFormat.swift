// The layouts of training data that are recognised by their keys.

/// A layout of training data.
public enum DataFormat: String, Sendable, Codable, CaseIterable {
    /// Stanford Alpaca's: an instruction, perhaps an input, and the output.
    case alpaca
    /// OpenAI's: turns with a role and a content.
    case messages
    /// ShareGPT's: turns with `from` and `value`.
    case sharegpt
    /// A question and its answer under any of the usual pairs of keys.
    case promptCompletion = "prompt/completion"
    /// Running text, all of it trained.
    case text

    /// The keys that a record of this format needs, in words.
    public var needs: String {
        switch self {
        case .alpaca: "instruction, output (and input, system, history if you like)"
        case .messages: "messages: [{role, content}, …]"
        case .sharegpt: "conversations: [{from, value}, …]"
        case .promptCompletion: "prompt and completion (or question/answer, prompt/response, input/output)"
        case .text: "text"
        }
    }

    /// All formats and what each needs, for messages.
    static let allNeeds = allCases.map { "\($0.rawValue): \($0.needs)" }.joined(separator: "; ")
}

/// Which keys of a record hold what.
struct FieldMap: Sendable, Equatable {
    enum Layout: Sendable, Equatable {
        case alpaca(instruction: Int, input: Int?, output: Int, history: Int?)
        case conversation(Int)
        case exchange(prompt: Int, completion: Int)
        case text(Int)
    }

    let layout: Layout
    /// Where a system prompt stands.
    let system: Int?

    static let conversationKeys = [
        "messages", "conversations", "conversation", "chat", "dialog", "dialogue", "turns",
    ]
    static let systemKeys = ["system", "system_prompt", "system_message"]
    static let inputKeys = ["input", "context"]
    static let outputKeys = ["output", "response", "answer", "completion", "target"]
    static let promptKeys = ["prompt", "question", "query", "user", "human", "input", "source", "instruction"]
    static let completionKeys = [
        "completion", "response", "answer", "output", "assistant", "target", "reply", "gpt",
    ]
    static let textKeys = ["text", "content"]

    /// The map of a record with these keys, for `format` or for the first format that fits.
    init?(_ keys: [String], format: DataFormat?) {
        let names = keys.map { key in
            String(key.lowercased().map { $0 == "-" || $0 == " " ? "_" : $0 }.drop { $0 == "_" })
        }
        func index(_ aliases: [String]) -> Int? {
            aliases.lazy.compactMap { names.firstIndex(of: $0) }.first
        }
        func allows(_ formats: DataFormat...) -> Bool { format.map(formats.contains) ?? true }
        system = index(Self.systemKeys)
        if allows(.messages, .sharegpt), let conversation = index(Self.conversationKeys) {
            layout = .conversation(conversation)
        } else if allows(.alpaca), let instruction = index(["instruction"]), let output = index(Self.outputKeys) {
            layout = .alpaca(
                instruction: instruction, input: index(Self.inputKeys), output: output, history: index(["history"]))
        } else if allows(.promptCompletion), let prompt = index(Self.promptKeys),
            let completion = index(Self.completionKeys)
        {
            layout = .exchange(prompt: prompt, completion: completion)
        } else if allows(.text), let text = index(Self.textKeys) {
            layout = .text(text)
        } else {
            return nil
        }
    }
}
