// Tokenizers for tests: one of bytes, and a small real one with a template of our own.

import Foundation
import TestSupport
import Tokenizers

@testable import Datasets

/// Every byte is a token; a few texts in angle brackets are special tokens from 256 on.
struct ByteTokenizer: TextTokenizer {
    static let specials = ["<s>", "</s>", "<|a|>", "<|z|>"]
    var bosToken: String? = "<s>"
    var bosID: Int? = 256
    var eosToken: String? = "</s>"
    var eosID: Int? = 257
    var addsBOS = false
    var endOfTurnIDs: Set<Int> = [257, 259]
    var chatTemplateSource: String?

    /// Turns as `<|a|>role⏎content<|z|>⏎`.
    static let template = """
        {% for m in messages %}{{ '<|a|>' + m.role + '\\n' + m.content + '<|z|>\\n' }}{% endfor %}\
        {% if add_generation_prompt %}{{ '<|a|>assistant\\n' }}{% endif %}
        """

    func encode(_ text: String, allowingSpecialTokens: Bool) -> [Int] {
        var rest = Array(text.utf8)[...]
        var ids: [Int] = []
        while let first = rest.first {
            if allowingSpecialTokens, first == UInt8(ascii: "<"),
                let index = Self.specials.firstIndex(where: { rest.starts(with: $0.utf8) })
            {
                ids.append(256 + index)
                rest = rest.dropFirst(Self.specials[index].utf8.count)
            } else {
                ids.append(Int(first))
                rest = rest.dropFirst()
            }
        }
        return ids
    }

    func decode(_ ids: [Int], skippingSpecialTokens: Bool) -> String {
        let bytes = ids.flatMap { id in
            id < 256 ? [UInt8(id)] : skippingSpecialTokens ? [] : Array(Self.specials[id - 256].utf8)
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    func token(_ id: Int) -> String? { id < 256 ? "<0x\(String(id, radix: 16))>" : Self.specials[id - 256] }
}

/// A real tokenizer whose chat template is replaced.
struct TemplatedTokenizer: TextTokenizer {
    let base: Tokenizer
    let chatTemplateSource: String?
    let bosToken: String? = "<s>"
    let eosToken: String? = "<|end|>"
    let addsBOS = false
    var bosID: Int? { base.id(of: "<s>") }
    var eosID: Int? { base.id(of: "<|end|>") }
    var endOfTurnIDs: Set<Int> { Set([eosID].compactMap { $0 }) }

    func encode(_ text: String, allowingSpecialTokens: Bool) -> [Int] {
        base.encode(text, allowingSpecialTokens: allowingSpecialTokens)
    }
    func decode(_ ids: [Int], skippingSpecialTokens: Bool) -> String {
        base.decode(ids, skippingSpecialTokens: skippingSpecialTokens)
    }
    func token(_ id: Int) -> String? { base.token(id) }
}

/// A tokenizer of bytes with the standard template.
let chatTokenizer = ByteTokenizer(chatTemplateSource: ByteTokenizer.template)

/// The data set in a file of this name and content.
func dataset(
    _ content: String, _ name: String = "data.jsonl", tokenizer: any TextTokenizer = chatTokenizer,
    options: TextDataOptions = TextDataOptions()
) throws -> TextDataset {
    try dataset(Array(content.utf8), name, tokenizer: tokenizer, options: options)
}

/// The data set in a file of this name with these bytes.
func dataset(
    _ content: [UInt8], _ name: String, tokenizer: any TextTokenizer = chatTokenizer,
    options: TextDataOptions = TextDataOptions()
) throws -> TextDataset {
    try withTemporaryFolder { folder in
        let url = folder.appendingPathComponent(name)
        try Data(content).write(to: url)
        return try TextDataset(path: url, tokenizer: tokenizer, options: options)
    }
}

/// What goes wrong with a file, without the temporary folder's name.
func failure(
    _ content: String, _ name: String = "data.jsonl", tokenizer: any TextTokenizer = chatTokenizer,
    options: TextDataOptions = TextDataOptions()
) -> String {
    do {
        return "no error: \(try dataset(content, name, tokenizer: tokenizer, options: options).summary.line)"
    } catch {
        let text = "\(error)"
        guard let start = text.range(of: "/\(name)") else { return text }
        return text.hasPrefix("/") ? name + text[start.upperBound...] : text
    }
}

extension TextDataset {
    /// A sample as text, trained stretches in «».
    func marked(_ index: Int = 0) -> String {
        var result = ""
        var run: [Int] = []
        var isTrained = false
        func flush() {
            let text = chatTokenizer.decode(run, skippingSpecialTokens: false)
            result += run.isEmpty ? "" : isTrained ? "«\(text)»" : text
            run = []
        }
        for (token, trained) in zip(samples[index].tokens, samples[index].isTrained) {
            if trained != isTrained {
                flush()
                isTrained = trained
            }
            run.append(Int(token))
        }
        flush()
        return result
    }
}
