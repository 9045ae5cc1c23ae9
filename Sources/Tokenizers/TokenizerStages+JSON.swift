// The reader of `tokenizer.json`, the format of Hugging Face's `tokenizers`.

import Foundation

extension TokenizerStages {
    /// Reads `tokenizer.json` and the tokens that only `tokenizer_config.json` adds.
    init(folder: URL) throws {
        let url = folder.appendingPathComponent("tokenizer.json")
        guard let text = try JSONText(contentsOf: url) else {
            throw TokenizerError.unusableFile(
                file: url.path, reason: Self.whatIsThere(folder),
                remedy: "lora reads tokenizer.json; save it with AutoTokenizer.from_pretrained(…).save_pretrained(…)")
        }
        try self.init(text)
        try addTokens(fromConfigIn: folder)
    }

    private static func whatIsThere(_ folder: URL) -> String {
        let models = ["tokenizer.model", "vocab.json", "vocab.txt", "merges.txt"].filter {
            FileManager.default.fileExists(atPath: folder.appendingPathComponent($0).path)
        }
        return models.isEmpty ? "no such file" : "no such file, only \(models.joined(separator: ", "))"
    }

    init(_ text: JSONText) throws {
        var text = text
        let file = text.file
        let positions = try text.memberPositions(of: "the whole file")
        try text.expectEnd()
        func part(_ key: String) throws -> JSONPart? {
            guard let position = positions[key] else { return nil }
            var reader = text.moved(to: position)
            let value = try reader.value()
            return value == .null ? nil : JSONPart(value: value, file: file, path: key)
        }
        guard let modelPosition = positions["model"] else {
            throw TokenizerError.malformed(file: file, key: "model", expected: "an object", got: "nothing")
        }
        let decoder = try TokenDecoder(try part("decoder"))
        let preTokenizer = try PreTokenizer(try part("pre_tokenizer"))
        let added = try Self.addedTokens(text, at: positions["added_tokens"])
        var model = text.moved(to: modelPosition)
        let reader = BytePairModelReader(
            isByteLevel: preTokenizer.isByteLevel || decoder == .byteLevel,
            protected: Set(added.filter { $0.isSpecial && !$0.isNormalized && !$0.isSingleWord }.map(\.id))
        )
        self.init(
            normalizer: try Normalizer(try part("normalizer")), preTokenizer: preTokenizer,
            model: try reader.read(&model), decoder: decoder, added: added,
            startsWithSpecial: try part("post_processor").flatMap(Self.firstSpecial), file: file)
        cutAtMarksWhenSafe()
    }

    // MARK: - Added tokens

    private static func addedTokens(_ text: JSONText, at position: Int?) throws -> [AddedToken] {
        guard let position else { return [] }
        var reader = text.moved(to: position)
        var tokens: [AddedToken] = []
        try reader.forEachElement(of: "added_tokens") { reader in
            let path = "added_tokens[\(tokens.count)]"
            tokens.append(try AddedToken(JSONPart(value: try reader.value(), file: text.file, path: path)))
        }
        return tokens
    }

    /// `tokenizer_config.json` may list tokens that `tokenizer.json` lacks.
    mutating func addTokens(fromConfigIn folder: URL) throws {
        let url = folder.appendingPathComponent("tokenizer_config.json")
        guard var text = try JSONText(contentsOf: url) else { return }
        let config = JSONPart(value: try text.value(), file: text.file, path: "")
        guard let listed = config["added_tokens_decoder"]?.value.object else { return }
        let known = Set(added.map(\.id))
        for (key, value) in listed.sorted(by: { $0.key < $1.key }) {
            let path = "added_tokens_decoder.\(key)"
            guard let id = Int(key) else {
                throw TokenizerError.malformed(
                    file: text.file, key: path, expected: "an id as the key", got: "'\(key)'"
                )
            }
            if known.contains(id) { continue }
            added.append(try AddedToken(JSONPart(value: value, file: text.file, path: path), id: id))
        }
    }

    // MARK: - Post-processor

    /// The special token that a template puts before a text.
    private static func firstSpecial(_ part: JSONPart) throws -> String? {
        switch try part.type() {
        case "Sequence":
            return try part.elements("processors").lazy.compactMap(firstSpecial).first
        case "RobertaProcessing":
            // A pair of the token and its id; another one, `sep`, ends the text.
            return part["cls"]?.value.array?.first?.string
        case "TemplateProcessing":
            return try part.elements("single").first?["SpecialToken"]?.string("id")
        default:
            return nil
        }
    }

    // MARK: - Speed

    /// Lets long SentencePiece texts be cut before `▁`, when no token has one behind another character.
    ///
    /// Then no merge crosses such a place, so the tokens are the same and the cache of pieces can work.
    mutating func cutAtMarksWhenSafe() {
        guard case .characters = model.symbols, !model.takesWholePieces else { return }
        let mark = PreTokenizer.Metaspace.mark
        guard model.vocabulary.id(of: mark) != nil else { return }
        for merge in model.merges.ordered {
            guard let right = model.vocabulary.bytes(of: merge.right), right.starts(with: mark),
                let left = model.vocabulary.bytes(of: merge.left)
            else { continue }
            if !left.suffix(3).elementsEqual(mark) { return }
        }
        preTokenizer.stages.append(.beforeMarks)
    }
}

extension AddedToken {
    init(_ part: JSONPart, id: Int? = nil) throws {
        guard let content = try part.string("content") else {
            throw TokenizerError.malformed(
                file: part.file, key: "\(part.path).content", expected: "a string", got: "nothing")
        }
        guard let id = try id ?? part.integer("id"), (0..<Vocabulary.maximumCount).contains(id) else {
            throw TokenizerError.malformed(
                file: part.file, key: "\(part.path).id", expected: "an id below \(Vocabulary.maximumCount)",
                got: part["id"]?.value.kind ?? "nothing")
        }
        let isSpecial = try part.boolean("special") ?? false
        self.init(
            content: content, id: id, isSingleWord: try part.boolean("single_word") ?? false,
            stripsLeft: try part.boolean("lstrip") ?? false, stripsRight: try part.boolean("rstrip") ?? false,
            isNormalized: try part.boolean("normalized") ?? !isSpecial, isSpecial: isSpecial)
    }
}

extension JSONText {
    /// The text of a file; nil when there is none.
    init?(contentsOf url: URL) throws {
        guard FileManager.default.fileExists(atPath: url.path) else { return nil }
        do {
            self.init([UInt8](try Data(contentsOf: url)), file: url.path)
        } catch {
            throw TokenizerError.unusableFile(
                file: url.path, reason: "cannot be read", remedy: "check that it is a file and that you may read it")
        }
        if bytes.isEmpty {
            throw TokenizerError.unusableFile(file: url.path, reason: "is empty", remedy: "fetch it again")
        }
        if bytes.starts(with: Array("version https://git-lfs".utf8)) {
            throw TokenizerError.unusableFile(
                file: url.path, reason: "is a Git LFS pointer, not the file itself", remedy: "run 'git lfs pull'")
        }
    }
}
