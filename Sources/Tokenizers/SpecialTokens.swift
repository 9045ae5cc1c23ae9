// What the files beside `tokenizer.json` say: special tokens by role, and the chat template.

import Foundation

/// The tokens with a role, and how a conversation is written.
struct SpecialTokens: Sendable, Equatable {
    var bos: String?
    var eos: String?
    var pad: String?
    var unknown: String?
    var addsBOS = false
    var chatTemplate: String?
    /// Further ids that end a turn.
    var endIDs: Set<Int> = []

    /// Tokens that end a turn in the models known today, whatever their files say.
    private static let turnEnds = [
        "<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<end_of_turn>", "<|end|>", "<|endoftext|>",
    ]

    /// Every id after which a model has said all it wanted.
    func endOfTurnIDs(_ stages: TokenizerStages) -> Set<Int> {
        var ids = endIDs
        if let eos, let id = stages.id(of: eos) { ids.insert(id) }
        for token in stages.added where Self.turnEnds.contains(token.content) { ids.insert(token.id) }
        return ids
    }
}

extension SpecialTokens {
    /// Reads `tokenizer_config.json`, `special_tokens_map.json`, `generation_config.json` and `chat_template.jinja`.
    init(folder: URL, stages: TokenizerStages) throws {
        let config = try Self.part("tokenizer_config.json", in: folder)
        let map = try Self.part("special_tokens_map.json", in: folder)
        func token(_ role: String) throws -> String? { try Self.name(config?[role]) ?? Self.name(map?[role]) }
        bos = try token("bos_token") ?? stages.startsWithSpecial
        eos = try token("eos_token")
        pad = try token("pad_token")
        unknown = try token("unk_token")
        addsBOS = try config?.boolean("add_bos_token") ?? (stages.startsWithSpecial != nil)
        chatTemplate = try Self.template(folder) ?? Self.template(config?["chat_template"])
        endIDs = try Self.ids(Self.part("generation_config.json", in: folder)?["eos_token_id"])
    }

    static func part(_ name: String, in folder: URL) throws -> JSONPart? {
        guard var text = try JSONText(contentsOf: folder.appendingPathComponent(name)) else { return nil }
        let part = JSONPart(value: try text.value(), file: text.file, path: "")
        try text.expectEnd()
        guard part.value.object != nil else {
            throw TokenizerError.malformed(
                file: part.file, key: "the whole file", expected: "an object", got: part.value.kind)
        }
        return part
    }

    /// A token is written as a string, or as an object with its `content`.
    private static func name(_ part: JSONPart?) throws -> String? {
        guard let part else { return nil }
        if let name = part.value.string { return name }
        guard part.value.object != nil else { throw part.mismatch("a string or an object with 'content'") }
        return try part.string("content")
    }

    private static func ids(_ part: JSONPart?) throws -> Set<Int> {
        guard let part else { return [] }
        let values = part.value.array ?? [part.value]
        return Set(
            try values.map { value in
                guard let id = value.integer else { throw part.mismatch("an id or an array of ids") }
                return id
            })
    }

    private static func template(_ folder: URL) throws -> String? {
        let url = folder.appendingPathComponent("chat_template.jinja")
        guard FileManager.default.fileExists(atPath: url.path) else { return nil }
        do {
            return String(decoding: try Data(contentsOf: url), as: UTF8.self)
        } catch {
            throw TokenizerError.unusableFile(
                file: url.path, reason: "cannot be read", remedy: "check that it is a file and that you may read it")
        }
    }

    /// A template is a string, or an array of named ones of which `default` is taken.
    private static func template(_ part: JSONPart?) throws -> String? {
        guard let part else { return nil }
        if let source = part.value.string { return source }
        guard let named = part.value.array else { throw part.mismatch("a string or an array of named templates") }
        let chosen = named.first { $0["name"]?.string == "default" } ?? named.first
        return chosen?["template"]?.string
    }
}
