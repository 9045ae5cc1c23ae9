// The tokenizer's files as Python's `AutoTokenizer` reads them.

import Formats
import Foundation

extension Tokenizer {
    /// The files that belong to a tokenizer in a Hugging Face folder, as far as there are any.
    public static let fileNames = [
        "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
        "chat_template.jinja", "generation_config.json", "tokenizer.model", "vocab.json", "merges.txt",
    ]

    /// Writes `tokenizer.json` and `tokenizer_config.json`, or copies the originals when they came from a folder.
    public func writeFiles(to target: URL) throws {
        try Self.makeFolder(target)
        guard let folder else {
            try AtomicFile.write(hubJSON(), to: target.appendingPathComponent("tokenizer.json"))
            return try AtomicFile.write(configJSON(), to: target.appendingPathComponent("tokenizer_config.json"))
        }
        for name in Self.fileNames {
            let source = folder.appendingPathComponent(name)
            guard FileManager.default.fileExists(atPath: source.path) else { continue }
            try AtomicFile.write(try Self.read(source), to: target.appendingPathComponent(name))
        }
    }

    static func makeFolder(_ url: URL) throws {
        do {
            try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        } catch {
            throw TokenizerError.unusableFile(
                file: url.path, reason: "the folder cannot be made (\(error.localizedDescription))",
                remedy: "choose a folder where you may write")
        }
    }

    static func read(_ url: URL) throws -> Data {
        do {
            return try Data(contentsOf: url)
        } catch {
            throw TokenizerError.unusableFile(
                file: url.path, reason: "cannot be read any more",
                remedy: "check that the model's folder is still there")
        }
    }
}

// MARK: - tokenizer.json

extension Tokenizer {
    private func hubJSON() -> Data {
        var json = JSONWriter()
        json.object {
            $0.member("version", .string("1.0"))
            $0.member("truncation", .null)
            $0.member("padding", .null)
            $0.member("added_tokens", .array(stages.added.sorted { $0.id < $1.id }.map(\.json)))
            $0.member("normalizer", stages.normalizer.json)
            $0.member("pre_tokenizer", stages.preTokenizer.json)
            $0.member("post_processor", postProcessorJSON)
            $0.member("decoder", stages.decoder.json)
            $0.member("model") { $0.object { writeModel(&$0) } }
        }
        return Data(json.bytes)
    }

    private func writeModel(_ json: inout JSONWriter) {
        let model = stages.model
        var fallsBack = false
        if case .characters(let bytes) = model.symbols { fallsBack = bytes.contains { $0 >= 0 } }
        json.member("type", .string("BPE"))
        json.member("dropout", .null)
        json.member("unk_token", model.unknownID.flatMap(token).map { .string($0) } ?? .null)
        json.member("continuing_subword_prefix", .null)
        json.member("end_of_word_suffix", .null)
        json.member("fuse_unk", .boolean(model.fusesUnknown))
        json.member("byte_fallback", .boolean(fallsBack))
        json.member("ignore_merges", .boolean(model.takesWholePieces))
        json.member("vocab") { json in
            json.object { json in
                for id in 0..<model.vocabulary.idLimit {
                    if let token = model.vocabulary.token(id) { json.member(token, .number(Double(id))) }
                }
            }
        }
        json.member("merges") { json in
            json.array(model.merges.ordered) { json, merge in
                let parts = [merge.left, merge.right].map { JSONValue.string(model.vocabulary.token($0) ?? "") }
                json.value(.array(parts))
            }
        }
    }

    /// Puts the token that starts a text before it, as the model expects.
    private var postProcessorJSON: JSONValue {
        guard addsBOS, let bosToken, let bosID else { return .null }
        func sequence(_ name: String, _ type: Int) -> JSONValue {
            .object(["Sequence": .object(["id": .string(name), "type_id": .number(Double(type))])])
        }
        func start(_ type: Int) -> JSONValue {
            .object(["SpecialToken": .object(["id": .string(bosToken), "type_id": .number(Double(type))])])
        }
        let special: JSONValue = .object([
            "id": .string(bosToken), "ids": .array([.number(Double(bosID))]), "tokens": .array([.string(bosToken)]),
        ])
        return .object([
            "type": .string("TemplateProcessing"), "single": .array([start(0), sequence("A", 0)]),
            "pair": .array([start(0), sequence("A", 0), start(1), sequence("B", 1)]),
            "special_tokens": .object([bosToken: special]),
        ])
    }

    // MARK: - tokenizer_config.json

    private func configJSON() -> Data {
        var json = JSONWriter()
        func name(_ token: String?) -> JSONValue { token.map { .string($0) } ?? .null }
        json.object {
            $0.member("tokenizer_class", .string("PreTrainedTokenizerFast"))
            $0.member("add_bos_token", .boolean(addsBOS))
            $0.member("bos_token", name(bosToken))
            $0.member("eos_token", name(eosToken))
            $0.member("pad_token", name(padToken))
            $0.member("unk_token", name(specials.unknown))
            $0.member("clean_up_tokenization_spaces", .boolean(false))
            if let chatTemplateSource { $0.member("chat_template", .string(chatTemplateSource)) }
        }
        return Data(json.bytes)
    }
}

extension AddedToken {
    fileprivate var json: JSONValue {
        .object([
            "id": .number(Double(id)), "content": .string(content), "single_word": .boolean(isSingleWord),
            "lstrip": .boolean(stripsLeft), "rstrip": .boolean(stripsRight), "normalized": .boolean(isNormalized),
            "special": .boolean(isSpecial),
        ])
    }
}

extension Normalizer {
    fileprivate var json: JSONValue {
        let all = steps.map { step -> JSONValue in
            switch step {
            case .composition: .object(["type": .string("NFC")])
            case .prepending(let prefix):
                .object(["type": .string("Prepend"), "prepend": .string(String(decoding: prefix, as: UTF8.self))])
            case .replacing(let old, let new): .replacing(old, with: new)
            case .replacingSpaces(let new):
                .object([
                    "type": .string("Replace"), "pattern": .object(["Regex": .string(#"\s+"#)]),
                    "content": .string(String(decoding: new, as: UTF8.self)),
                ])
            case .lowercasing: .object(["type": .string("Lowercase")])
            }
        }
        return all.isEmpty ? .null : .object(["type": .string("Sequence"), "normalizers": .array(all)])
    }
}

extension PreTokenizer {
    fileprivate var json: JSONValue {
        var all = stages.compactMap(\.json)
        if isByteLevel {
            all.append(
                .object([
                    "type": .string("ByteLevel"), "add_prefix_space": .boolean(false), "trim_offsets": .boolean(true),
                    "use_regex": .boolean(false),
                ]))
        }
        return all.isEmpty ? .null : .object(["type": .string("Sequence"), "pretokenizers": .array(all)])
    }
}

extension PreTokenizer.Stage {
    /// Only the stages that a GGUF file can ask for; the others come from a folder, whose files are copied.
    fileprivate var json: JSONValue? {
        switch self {
        case .split(.singleDigits): .object(["type": .string("Digits"), "individual_digits": .boolean(true)])
        case .split(let pattern):
            SplitPattern.known.first { $0.pattern == pattern }.map { known in
                .object([
                    "type": .string("Split"), "pattern": .object(["Regex": .string(known.expression)]),
                    "behavior": .string("Isolated"), "invert": .boolean(false),
                ])
            }
        case .digitRuns, .prefixSpace, .metaspace, .beforeMarks: nil
        }
    }
}

extension TokenDecoder {
    fileprivate var json: JSONValue {
        switch self {
        case .byteLevel:
            return .object([
                "type": .string("ByteLevel"), "add_prefix_space": .boolean(true), "trim_offsets": .boolean(true),
                "use_regex": .boolean(true),
            ])
        case .sentencePiece(let stripsSpace, let readsBytes):
            var steps: [JSONValue] = [.replacing(PreTokenizer.Metaspace.mark, with: [UInt8(ascii: " ")])]
            if readsBytes { steps.append(.object(["type": .string("ByteFallback")])) }
            steps.append(.object(["type": .string("Fuse")]))
            if stripsSpace {
                steps.append(
                    .object([
                        "type": .string("Strip"), "content": .string(" "), "start": .number(1), "stop": .number(0),
                    ]))
            }
            return .object(["type": .string("Sequence"), "decoders": .array(steps)])
        case .words:
            return .null
        }
    }
}

extension JSONValue {
    fileprivate static func replacing(_ old: [UInt8], with new: [UInt8]) -> JSONValue {
        .object([
            "type": .string("Replace"),
            "pattern": .object(["String": .string(String(decoding: old, as: UTF8.self))]),
            "content": .string(String(decoding: new, as: UTF8.self)),
        ])
    }
}
