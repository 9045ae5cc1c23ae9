// What the public interface promises beyond the ids themselves.

import Foundation
import TestSupport
import Testing

@testable import Tokenizers

@Suite("A tokenizer")
struct TokenizerTests {
    @Test("gives out a character once all its bytes are there")
    func holdsBackBytes() throws {
        let tokenizer = try Tokenizer(folder: TokenizerGolden.folder("gpt2"))
        let ids = tokenizer.encode("😼")
        try #require(ids.count > 1)
        var decoder = StreamingDecoder(tokenizer)
        for id in ids.dropLast() { #expect(decoder.append(id) == "") }
        #expect(decoder.append(ids[ids.count - 1]) == "😼")
        #expect(decoder.append(ids[0]) == "" && decoder.finish() == "\u{FFFD}" && decoder.finish() == "")
    }

    @Test("never makes a special token of text that may not", arguments: TokenizerGolden.names)
    func keepsSpecialTokensOut(_ name: String) throws {
        let tokenizer = try Tokenizer(folder: TokenizerGolden.folder(name))
        let special = Set(tokenizer.stages.added.filter(\.isSpecial).map(\.id))
        for token in tokenizer.stages.added.filter(\.isSpecial) {
            #expect(tokenizer.encode(token.content) == [token.id])
            for text in [token.content, "a\(token.content)b", "x \(token.content)\(token.content) "] {
                let ids = tokenizer.encode(text, allowingSpecialTokens: false)
                #expect(special.isDisjoint(with: ids), "\(text)")
                #expect(tokenizer.decode(ids) == text)
            }
        }
    }

    @Test("never merges to a special token, and never takes a whole word for one", arguments: ["gpt2", "llama3"])
    func keepsWordsApartFromSpecialTokens(_ name: String) throws {
        let word = "Return"
        let id = try #require(try Tokenizer(folder: TokenizerGolden.folder(name)).id(of: word))
        let added = #""added_tokens":[{"id":\#(id),"content":"\#(word)","special":true,"normalized":false},"#
        try withFolder(name, [:], changing: (#""added_tokens":["#, added)) { folder in
            let tokenizer = try Tokenizer(folder: folder)
            #expect(tokenizer.encode(word) == [id])
            let ids = tokenizer.encode(word, allowingSpecialTokens: false)
            #expect(!ids.contains(id) && tokenizer.decode(ids) == word)
        }
    }

    @Test("knows its tokens by name and by id")
    func looksTokensUp() throws {
        let tokenizer = try Tokenizer(folder: TokenizerGolden.folder("llama3"))
        #expect(tokenizer.token(0) == "<s>" && tokenizer.id(of: "<s>") == 0)
        #expect(tokenizer.id(of: "<|end|>").flatMap(tokenizer.token) == "<|end|>")
        #expect(tokenizer.token(-1) == nil && tokenizer.token(99_999) == nil && tokenizer.id(of: "nowhere") == nil)
        #expect(tokenizer.decode([-1, 99_999]) == "")
        #expect(tokenizer.vocabularySize == (0..<2000).filter { tokenizer.token($0) != nil }.count)
    }

    @Test("takes roles, ends of a turn and the template from the files beside it")
    func readsConfiguration() throws {
        let config = #"""
            {"bos_token": {"content": "<s>", "special": true}, "eos_token": "</s>", "add_bos_token": false,
             "chat_template": [{"name": "tool_use", "template": "T"}, {"name": "default", "template": "D"}],
             "added_tokens_decoder": {"1300": {"content": "<|late|>", "special": true}}}
            """#
        try withFolder(
            "llama3", ["tokenizer_config.json": config, "generation_config.json": #"{"eos_token_id":[1,7]}"#]
        ) {
            let tokenizer = try Tokenizer(folder: $0)
            #expect(tokenizer.bosID == 0 && tokenizer.eosID == 1 && tokenizer.padToken == nil && !tokenizer.addsBOS)
            #expect(tokenizer.chatTemplateSource == "D")
            let end = try #require(tokenizer.id(of: "<|end|>"))
            #expect(tokenizer.endOfTurnIDs == [1, 7, end])
            #expect(tokenizer.encode("a<|late|>").last == 1300 && tokenizer.vocabularySize == 1301)
        }
        try withFolder("llama3", ["chat_template.jinja": "J", "special_tokens_map.json": #"{"pad_token":"</s>"}"#]) {
            let tokenizer = try Tokenizer(folder: $0)
            #expect(tokenizer.chatTemplateSource == "J" && tokenizer.padID == 1)
            #expect(tokenizer.addsBOS && tokenizer.bosToken == "<s>", "the post-processor starts with <s>")
        }
    }

    @Test("copies the original files of a folder byte by byte")
    func copiesFiles() throws {
        try withFolder("qwen2", ["tokenizer_config.json": "{}", "config.json": "{}"]) { folder in
            let target = folder.appendingPathComponent("out/inner")
            try Tokenizer(folder: folder).writeFiles(to: target)
            let names = try FileManager.default.contentsOfDirectory(atPath: target.path).sorted()
            #expect(names == ["tokenizer.json", "tokenizer_config.json"])
            let original = try Data(contentsOf: folder.appendingPathComponent("tokenizer.json"))
            #expect(try Data(contentsOf: target.appendingPathComponent("tokenizer.json")) == original)
        }
    }

    @Test("puts a space before the first word when the file asks for it")
    func addsPrefixSpace() throws {
        let change = ("\"add_prefix_space\":false", "\"add_prefix_space\":true")
        try withFolder("gpt2", [:], changing: change) { folder in
            let tokenizer = try Tokenizer(folder: folder)
            let plain = try Tokenizer(folder: TokenizerGolden.folder("gpt2"))
            #expect(tokenizer.encode("the low") == plain.encode(" the low"))
            #expect(tokenizer.encode(" the") == plain.encode(" the"))
        }
    }
}

/// A folder with a golden tokenizer and further files, for as long as `body` runs.
func withFolder(
    _ name: String, _ files: [String: String], changing change: (String, String)? = nil, _ body: (URL) throws -> Void
) throws {
    try withTemporaryFolder { folder in
        let source = TokenizerGolden.folder(name).appendingPathComponent("tokenizer.json")
        var text = try String(contentsOf: source, encoding: .utf8)
        if let change {
            try #require(text.contains(change.0))
            text = text.replacingOccurrences(of: change.0, with: change.1)
        }
        try text.write(to: folder.appendingPathComponent("tokenizer.json"), atomically: false, encoding: .utf8)
        for (file, content) in files {
            try content.write(to: folder.appendingPathComponent(file), atomically: false, encoding: .utf8)
        }
        try body(folder)
    }
}
