// Ids and texts are the reference's, element by element.

import Formats
import Foundation
import TestSupport
import Testing

@testable import Tokenizers

@Suite("Tokenizers match the reference")
struct TokenizerParityTests {
    @Test("text becomes the reference's ids", arguments: TokenizerGolden.names)
    func encodes(_ name: String) throws {
        let tokenizer = try Tokenizer(folder: TokenizerGolden.folder(name))
        for golden in try TokenizerGolden(name).encode {
            #expect(tokenizer.encode(golden.text) == golden.ids, "\(golden.text.debugDescription)")
        }
    }

    @Test("without special tokens, text becomes the reference's ids", arguments: TokenizerGolden.names)
    func encodesPlainText(_ name: String) throws {
        let tokenizer = try Tokenizer(folder: TokenizerGolden.folder(name))
        for golden in try TokenizerGolden(name).encode {
            let ids = tokenizer.encode(golden.text, allowingSpecialTokens: false)
            #expect(ids == golden.plain, "\(golden.text.debugDescription)")
        }
    }

    @Test("ids become the reference's text", arguments: TokenizerGolden.names)
    func decodes(_ name: String) throws {
        let tokenizer = try Tokenizer(folder: TokenizerGolden.folder(name))
        for golden in try TokenizerGolden(name).decode {
            #expect(tokenizer.decode(golden.ids) == golden.text, "\(golden.ids)")
            #expect(tokenizer.decode(golden.ids, skippingSpecialTokens: true) == golden.skipped, "\(golden.ids)")
        }
    }

    @Test("a streamed text is the whole text", arguments: TokenizerGolden.names)
    func streams(_ name: String) throws {
        let tokenizer = try Tokenizer(folder: TokenizerGolden.folder(name))
        for golden in try TokenizerGolden(name).encode {
            var decoder = StreamingDecoder(tokenizer)
            let parts = golden.ids.map { decoder.append($0) }
            #expect(parts.joined() + decoder.finish() == tokenizer.decode(golden.ids))
        }
    }

    @Test("a GGUF file's byte-level vocabulary gives the ids of its tokenizer.json")
    func readsByteLevelGGUF() throws {
        let tokenizer = try gguf("smollm")
        // A GGUF file does not say how added tokens strip or match, so texts with those are left out.
        let special = ["<mask>", "[R]", "word", "caf"]
        for golden in try TokenizerGolden("smollm").encode where !special.contains(where: golden.text.contains) {
            #expect(tokenizer.encode(golden.text) == golden.ids, "\(golden.text.debugDescription)")
        }
        #expect(tokenizer.bosToken == "<s>" && tokenizer.bosID == 0 && !tokenizer.addsBOS)
        #expect(tokenizer.chatTemplateSource?.hasPrefix("{% for m in messages %}") == true)
    }

    @Test("a GGUF file's scores give SentencePiece's ids")
    func readsScoredGGUF() throws {
        struct Case: Decodable { let text: String, ids: [Int], decoded: String }
        let tokenizer = try gguf("sentencepiece")
        let url = goldens.appendingPathComponent("tokenizer-sentencepiece.json")
        for golden in try JSONDecoder().decode([Case].self, from: try Data(contentsOf: url)) {
            let ids = tokenizer.encode(golden.text, allowingSpecialTokens: false)
            #expect(ids == golden.ids, "\(golden.text.debugDescription)")
            #expect(tokenizer.decode(ids) == golden.decoded)
        }
        #expect(tokenizer.addsBOS && tokenizer.bosToken == "<s>" && tokenizer.eosID == 2)
    }

    @Test("what is written from a GGUF file is read back to the same ids", arguments: ["smollm", "sentencepiece"])
    func writesAndReads(_ name: String) throws {
        let original = try gguf(name)
        try withTemporaryFolder { folder in
            try original.writeFiles(to: folder)
            let copy = try Tokenizer(folder: folder)
            for golden in try TokenizerGolden("smollm").encode {
                #expect(copy.encode(golden.text) == original.encode(golden.text))
                let plain = original.encode(golden.text, allowingSpecialTokens: false)
                #expect(copy.encode(golden.text, allowingSpecialTokens: false) == plain)
            }
            #expect(copy.chatTemplateSource == original.chatTemplateSource && copy.addsBOS == original.addsBOS)
            #expect(copy.bosID == original.bosID && copy.eosID == original.eosID)
            #expect(copy.vocabularySize == original.vocabularySize)
        }
    }

    @Test("many texts at once get the same ids as one after another")
    func encodesConcurrently() async throws {
        let tokenizer = try Tokenizer(folder: TokenizerGolden.folder("llama3"))
        let golden = try TokenizerGolden("llama3").encode
        await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<8 {
                group.addTask { golden.allSatisfy { tokenizer.encode($0.text) == $0.ids } }
            }
            for await isEqual in group { #expect(isEqual) }
        }
    }

    private func gguf(_ name: String) throws -> Tokenizer {
        try Tokenizer(gguf: GGUFFile(goldens.appendingPathComponent("tokenizer-\(name).gguf")))
    }
}
