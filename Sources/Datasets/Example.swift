// What a record says, once its format is known: a conversation, a prompt with its completion, or a text.

import Tokenizers

/// A record in the terms that every format shares.
struct Example: Sendable, Equatable {
    enum Content: Sendable, Equatable {
        case conversation([ChatMessage])
        case exchange(system: String?, prompt: String, completion: String)
        case text(String)
    }

    var content: Content
    let source: SampleSource

    /// True when some answer has no text.
    var hasEmptyAnswer: Bool {
        switch content {
        case .conversation(let messages): messages.contains { $0.role == "assistant" && $0.content.isBlank }
        case .exchange(_, _, let completion): completion.isBlank
        case .text: false
        }
    }
}

extension String {
    var isBlank: Bool { utf8.allSatisfy { $0 == 32 || (9...13).contains($0) } }
}

/// Turns records into examples; all records must have the format of the first.
struct ExampleReader {
    private let wanted: DataFormat?
    private(set) var format: DataFormat?
    private var first: SampleSource?
    private var keys: [String] = []
    private var map: FieldMap?

    init(format: DataFormat?) { wanted = format }

    /// The example of a record.
    mutating func example(_ record: DataRecord) throws -> Example? {
        if map == nil || !zip(keys, record.members).allSatisfy({ $0 == $1.key }) || keys.count != record.members.count {
            keys = record.members.map(\.key)
            map = FieldMap(keys, format: wanted)
        }
        guard let map else { throw unrecognised(record) }
        let (format, content) = try read(record, map)
        if let expected = self.format, expected != format {
            throw record.error(
                "this is \(format.rawValue) (keys: \(spokenKeys)), but the data began as \(expected.rawValue) at "
                    + "\(place(record)); one data set has one format; \(expected.rawValue) needs \(expected.needs)")
        }
        if self.format == nil { (self.format, first) = (format, record.source) }
        return Example(content: content, source: record.source)
    }

    private var spokenKeys: String { keys.isEmpty ? "none" : keys.joined(separator: ", ").excerpt(100) }

    private func place(_ record: DataRecord) -> String {
        guard let first else { return "the start" }
        return first.file == record.source.file ? "line \(first.line)" : "\(first.file):\(first.line)"
    }

    private func unrecognised(_ record: DataRecord) -> DatasetError {
        if let format = wanted ?? format {
            return record.error("the keys are: \(spokenKeys); \(format.rawValue) needs \(format.needs)")
        }
        return record.error("cannot tell the format from the keys: \(spokenKeys); expected \(DataFormat.allNeeds)")
    }

    // MARK: - Formats

    private func read(_ record: DataRecord, _ map: FieldMap) throws -> (DataFormat, Example.Content) {
        let system = try map.system.flatMap { try text(record, $0, isOptional: true) }.flatMap { $0.isBlank ? nil : $0 }
        switch map.layout {
        case .text(let index):
            return (.text, .text(try text(record, index) ?? ""))
        case .exchange(let prompt, let completion):
            return (.promptCompletion, try exchange(record, prompt, completion, system: system))
        case .conversation(let index):
            let (format, messages) = try conversation(record, record.members[index])
            let opening =
                messages.first?.role == "system" ? nil : system.map { ChatMessage(role: "system", content: $0) }
            return (format, .conversation((opening.map { [$0] } ?? []) + messages))
        case .alpaca(let instruction, let input, let output, let history):
            var messages = system.map { [ChatMessage(role: "system", content: $0)] } ?? []
            if let history { messages += try past(record, record.members[history]) }
            let question = try text(record, instruction) ?? ""
            let addition = try input.flatMap { try text(record, $0, isOptional: true) } ?? ""
            let prompt = [question, addition].filter { !$0.isBlank }.joined(separator: "\n")
            messages.append(ChatMessage(role: "user", content: prompt))
            messages.append(ChatMessage(role: "assistant", content: try text(record, output) ?? ""))
            return (.alpaca, .conversation(messages))
        }
    }

    private func exchange(
        _ record: DataRecord, _ prompt: Int, _ completion: Int, system: String?
    ) throws -> Example.Content {
        if case .array = record.members[prompt].value, case .array = record.members[completion].value {
            let opening = try conversation(record, record.members[prompt]).1
            return .conversation(opening + (try conversation(record, record.members[completion]).1))
        }
        return .exchange(
            system: system, prompt: try text(record, prompt) ?? "", completion: try text(record, completion) ?? "")
    }

    /// The text of a member; numbers count as they were written.
    private func text(_ record: DataRecord, _ index: Int, isOptional: Bool = false) throws -> String? {
        let member = record.members[index]
        switch member.value {
        case .string(let text): return text
        case .number(let text): return text
        case .null where isOptional: return nil
        default:
            throw record.error("'\(member.key.excerpt())': expected text, got \(member.value.kind)")
        }
    }

    /// `history: [[question, answer], …]`.
    private func past(_ record: DataRecord, _ member: DataMember) throws -> [ChatMessage] {
        if case .null = member.value { return [] }
        if case .string(let text) = member.value, text.isBlank { return [] }
        guard case .array(let turns) = member.value else {
            throw record.error("'history': expected [[question, answer], …], got \(member.value.kind)")
        }
        return try turns.enumerated().flatMap { index, turn -> [ChatMessage] in
            guard case .array(let pair) = turn, pair.count == 2, case .string(let question) = pair[0],
                case .string(let answer) = pair[1]
            else { throw record.error("'history[\(index)]': expected [question, answer], got \(turn.kind)") }
            return [ChatMessage(role: "user", content: question), ChatMessage(role: "assistant", content: answer)]
        }
    }

    // MARK: - Conversations

    private func conversation(_ record: DataRecord, _ member: DataMember) throws -> (DataFormat, [ChatMessage]) {
        guard case .array(let turns) = member.value, !turns.isEmpty else {
            let got = member.value == .array([]) ? "an empty array" : member.value.kind
            throw record.error("'\(member.key.excerpt())': expected an array of turns, got \(got)")
        }
        var format: DataFormat?
        var messages: [ChatMessage] = []
        for (index, turn) in turns.enumerated() {
            let place = "'\(member.key.excerpt())[\(index)]'"
            guard case .object(let members) = turn else {
                throw record.error("\(place): expected an object, got \(turn.kind)")
            }
            let (kind, message) = try self.message(members, record, place)
            if let format, format != kind {
                throw record.error(
                    "\(place): expected \(format.rawValue) keys as in the turns before, got \(kind.rawValue)")
            }
            format = kind
            messages.append(message)
        }
        return (format ?? .messages, messages)
    }

    private func message(
        _ members: [DataMember], _ record: DataRecord, _ place: String
    ) throws -> (DataFormat, ChatMessage) {
        func value(_ name: String) -> DataValue? { members.first { $0.key.lowercased() == name }?.value }
        let roleValue: DataValue, content: DataValue, format: DataFormat
        if let found = value("role"), let text = value("content") {
            (roleValue, content, format) = (found, text, .messages)
        } else if let found = value("from"), let text = value("value") {
            (roleValue, content, format) = (found, text, .sharegpt)
        } else {
            let keys = members.map(\.key).joined(separator: ", ").excerpt(60)
            throw record.error("\(place): the keys are: \(keys); expected role and content, or from and value")
        }
        guard case .string(let name) = roleValue else {
            throw record.error("\(place): expected a role as text, got \(roleValue.kind)")
        }
        if value("tool_calls") != nil, content == .null {
            throw record.error("\(place): tool calls cannot be trained on yet; remove the turn or write it as content")
        }
        guard let text = Self.text(content) else {
            throw record.error("\(place): expected the content as text, got \(content.kind)")
        }
        guard let role = Self.role(name) else {
            throw record.error("\(place): the role '\(name)' is unknown; use system, user, assistant or tool")
        }
        return (format, ChatMessage(role: role, content: text))
    }

    /// Text, or a list of parts that are all text.
    private static func text(_ content: DataValue) -> String? {
        switch content {
        case .string(let text): return text
        case .array(let parts):
            let texts = parts.compactMap { part -> String? in
                guard case .object(let members) = part else { return nil }
                guard members.contains(DataMember(key: "type", value: .string("text"))) else { return nil }
                guard case .string(let text)? = members.first(where: { $0.key == "text" })?.value else { return nil }
                return text
            }
            return texts.count == parts.count && !parts.isEmpty ? texts.joined() : nil
        default: return nil
        }
    }

    private static let roles = [
        "human": "user", "prompter": "user", "gpt": "assistant", "chatgpt": "assistant", "bing": "assistant",
        "bard": "assistant", "model": "assistant", "bot": "assistant", "ai": "assistant", "observation": "tool",
        "function_response": "tool",
    ]

    /// Roles that chat templates know. Another one is a slip of the pen more often than not, and its text would be lost.
    private static let known: Set = [
        "system", "developer", "user", "assistant", "tool", "function", "ipython", "environment", "context",
        "documents",
    ]

    private static func role(_ name: String) -> String? {
        let name = name.trimmingSpace.lowercased()
        return known.contains(name) ? name : roles[name]
    }
}
