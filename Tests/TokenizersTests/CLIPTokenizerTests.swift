// CLIP's ids, rows and texts are transformers', element by element; see scripts/goldens/clip_tokenizer.py.

import Foundation
import TestSupport
import Testing

@testable import Tokenizers

/// What the reference makes of one prompt.
private struct CLIPCase: Decodable {
    let text: String
    let ids: [Int]
    /// The tokens of the whole text.
    let count: Int
    let textWith, textWithout: String
    /// The rows of kohya's trainers for up to 225 tokens, where one row is not enough.
    let chunks: [[Int]]?

    static let names = ["bare", "sd1", "sd2", "sdxl", "fast", "pocket"]

    static func folder(_ name: String) -> URL { goldens.appendingPathComponent("clip-\(name)") }

    static func all(_ name: String) throws -> [CLIPCase] {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(
            [CLIPCase].self, from: try Data(contentsOf: folder(name).appendingPathComponent("cases.json")))
    }
}

@Suite("CLIP's tokenizer")
struct CLIPTokenizerTests {
    @Test("makes the reference's 77 numbers and counts what it cuts", arguments: CLIPCase.names)
    func encodes(_ name: String) throws {
        let tokenizer = try CLIPTokenizer(folder: CLIPCase.folder(name))
        let cases = try CLIPCase.all(name)
        try #require(cases.count > 30)
        for golden in cases {
            let prompt = tokenizer.encode(golden.text)
            #expect(prompt.ids == golden.ids, "\(golden.text.debugDescription)")
            #expect(prompt.ids.count == 77 && prompt.tokenCount == min(golden.count, 75))
            #expect(prompt.cutCount == golden.count - prompt.tokenCount)
        }
    }

    @Test("cuts long prompts into rows as kohya's trainers do", arguments: CLIPCase.names)
    func chunks(_ name: String) throws {
        let tokenizer = try CLIPTokenizer(folder: CLIPCase.folder(name))
        let long = try CLIPCase.all(name).filter { $0.chunks != nil }
        try #require(!long.isEmpty)
        for golden in long {
            let rows = tokenizer.chunks(golden.text, count: 3)
            #expect(rows.map(\.ids) == golden.chunks, "\(golden.text.debugDescription)")
            #expect(rows.map(\.cutCount) == [0, 0, max(golden.count - 225, 0)])
            let needed = tokenizer.chunks(golden.text)
            #expect(needed.count == (golden.count + 74) / 75 && needed.allSatisfy { $0.cutCount == 0 })
            #expect(needed.reduce(0) { $0 + $1.tokenCount } == golden.count)
        }
        #expect(tokenizer.chunks("") == [tokenizer.encode("")])
    }

    @Test("makes the reference's text of numbers", arguments: CLIPCase.names)
    func decodes(_ name: String) throws {
        let tokenizer = try CLIPTokenizer(folder: CLIPCase.folder(name))
        for golden in try CLIPCase.all(name) {
            #expect(tokenizer.decode(golden.ids) == golden.textWithout, "\(golden.ids)")
            #expect(tokenizer.decode(golden.ids, skippingSpecialTokens: false) == golden.textWith, "\(golden.ids)")
        }
    }

    @Test("moves what follows a comma near a row's end to the next row, when asked to")
    func breaksAtCommas() throws {
        let tokenizer = try CLIPTokenizer(folder: CLIPCase.folder("sd1"))
        let comma = try #require(tokenizer.tokens(",").first)
        let word = try #require(tokenizer.tokens("a").first)
        func counts(_ text: String, _ reach: Int) -> [Int] {
            let rows = tokenizer.chunks(text, commaReach: reach)
            #expect(rows.flatMap { $0.ids[1...$0.tokenCount] } == tokenizer.tokens(text))
            return rows.map(\.tokenCount)
        }
        func text(_ words: Int, _ rest: Int) -> String {
            Array(repeating: "a", count: words).joined(separator: " ") + ","
                + String(repeating: " a", count: rest)
        }
        #expect(tokenizer.tokens(text(2, 1)) == [word, word, comma, word])
        #expect(counts(text(60, 30), 20) == [61, 30] && counts(text(60, 30), 0) == [75, 16])
        #expect(counts(text(55, 30), 20) == [56, 30] && counts(text(54, 30), 20) == [75, 10])
        #expect(counts(text(75, 5), 20) == [75, 6], "a comma may start a row")
        #expect(counts(text(60, 14) + ", a a", 20) == [75, 3], "also when another is in reach")
        #expect(counts(text(60, 14), 20) == [75], "all fits")
        let limited = tokenizer.chunks(text(60, 30), count: 1, commaReach: 20)
        #expect(limited.map(\.tokenCount) == [61] && limited[0].cutCount == 30)
    }

    @Test("fills up with the end for Stable Diffusion 1 and with '!' for 2")
    func pads() throws {
        let first = try CLIPTokenizer(folder: CLIPCase.folder("sd1"))
        let second = try CLIPTokenizer(folder: CLIPCase.folder("sd2"))
        #expect(first.padID == first.endID && first.startID == first.endID - 1 && second.padID == 0)
        #expect(first.encode("").ids == [first.startID] + Array(repeating: first.endID, count: 76))
        #expect(first.vocabularySize == first.endID + 1)
    }

    @Test("copies its files, which are then read to the same numbers")
    func copiesFiles() throws {
        let tokenizer = try CLIPTokenizer(folder: CLIPCase.folder("sd2"))
        try withTemporaryFolder { folder in
            try tokenizer.writeFiles(to: folder)
            let copy = try CLIPTokenizer(folder: folder)
            for golden in try CLIPCase.all("sd2") { #expect(copy.encode(golden.text).ids == golden.ids) }
        }
    }
}

@Suite("Bad files of CLIP's tokenizer are refused")
struct CLIPTokenizerErrorTests {
    /// What reading says after `change`; the folder's path is left out.
    private func message(of name: String = "sd1", _ change: (URL) throws -> Void) throws -> String {
        try withTemporaryFolder { folder in
            let copy = folder.appendingPathComponent("tokenizer")
            try FileManager.default.copyItem(at: CLIPCase.folder(name), to: copy)
            try change(copy)
            do {
                _ = try CLIPTokenizer(folder: copy)
                return "no error"
            } catch {
                return "\(error)".replacingOccurrences(of: copy.path + "/", with: "")
            }
        }
    }

    private func replace(_ old: String, _ new: String, in name: String) -> (URL) throws -> Void {
        { folder in
            let url = folder.appendingPathComponent(name)
            let text = try String(contentsOf: url, encoding: .utf8)
            try #require(text.contains(old))
            try Data(text.replacingOccurrences(of: old, with: new).utf8).write(to: url)
        }
    }

    @Test("when one is missing")
    func namesMissingFiles() throws {
        let remedy = "no such file; the folder needs tokenizer.json, or vocab.json and merges.txt: fetch it again"
        for name in ["vocab.json", "merges.txt"] {
            let message = try message { try FileManager.default.removeItem(at: $0.appendingPathComponent(name)) }
            #expect(message == "\(name): \(remedy)")
        }
    }

    @Test("when merges are no merges")
    func namesBadMerges() throws {
        let damaged = "; the file is damaged: fetch it again"
        #expect(
            try message(replace("#version: 0.2\n", "#version: 0.2\nabc\n", in: "merges.txt"))
                == "merges.txt: 'line 2' must be two tokens with a space between, got 'abc'\(damaged)")
        #expect(
            try message(replace("#version: 0.2\n", "#version: 0.2\r\na nowhere\r\n", in: "merges.txt"))
                == "merges.txt: 'line 2' must be two tokens of vocab.json that make a third, "
                + "got 'nowhere', which vocab.json lacks\(damaged)")
        #expect(
            try message(replace("#version: 0.2\n", "#version: 0.2\na b c\n", in: "merges.txt")).hasPrefix(
                "merges.txt: 'line 2' must be two tokens with a space between, got 'a b c'"))
    }

    @Test("when the vocabulary is none, or lacks a special token")
    func namesBadVocabulary() throws {
        let damaged = "; the file is damaged: fetch it again"
        #expect(
            try message(replace("\"!\":0", "\"!\":-1", in: "vocab.json"))
                .hasPrefix("vocab.json: 'vocabulary.!' must be an integer of at least 0, got "))
        #expect(
            try message(replace("<|startoftext|>", "<|start|>", in: "vocab.json"))
                == "vocab.json: '<|startoftext|>' must be a token of the vocabulary, got nothing\(damaged)")
        #expect(
            try message { try Data("{\"a\":1".utf8).write(to: $0.appendingPathComponent("vocab.json")) }
                .hasPrefix("vocab.json: not JSON at byte 6: expected "))
        #expect(
            try message { try Data("version https://git-lfs".utf8).write(to: $0.appendingPathComponent("merges.txt")) }
                == "merges.txt: is a Git LFS pointer, not the file itself; run 'git lfs pull'")
    }

    @Test("when tokenizer.json or the special tokens are of another kind")
    func namesOtherKinds() throws {
        let other = try message(of: "fast", replace("\"end_of_word_suffix\":\"</w>\",", "", in: "tokenizer.json"))
        #expect(other.hasPrefix("tokenizer.json: 'model' is not CLIP's kind of tokenizer, which lora does not read"))
        let role = try message(
            of: "fast", replace("\"pad_token\":\"<|endoftext|>\"", "\"pad_token\":7", in: "tokenizer_config.json"))
        #expect(
            role == "tokenizer_config.json: 'pad_token' must be a string or an object with 'content', got 7; "
                + "the file is damaged: fetch it again")
        let behavior = try message(
            of: "fast", replace("\"Removed\",\"invert\":true", "\"Isolated\",\"invert\":false", in: "tokenizer.json"))
        #expect(behavior.contains("'pre_tokenizer.pretokenizers[0].behavior' is 'Isolated'"))
    }

    @Test("or read, but never crash, after random changes", arguments: ["vocab.json", "merges.txt"])
    func survivesMutation(_ name: String) throws {
        let whole = try [UInt8](Data(contentsOf: CLIPCase.folder("bare").appendingPathComponent(name)))
        var random = UInt64(11)
        func next(_ limit: Int) -> Int {
            random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(random >> 33) % limit
        }
        for _ in 0..<100 {
            var bytes = whole
            for _ in 0...next(4) {
                let place = next(bytes.count)
                if next(4) == 0 {
                    bytes.removeSubrange(place..<min(place + 1 + next(40), bytes.count))
                } else {
                    bytes[place] = [0x0A, 0x20, 0x22, 0x3A, 0x2C, 0x7D, 0xFF, 0x31][next(8)]
                }
            }
            let message = try message(of: "bare") { try Data(bytes).write(to: $0.appendingPathComponent(name)) }
            let isNamed = message.hasPrefix("vocab.json: ") || message.hasPrefix("merges.txt: ")
            #expect((isNamed || message == "no error") && !message.contains("\n"), "\(message)")
        }
    }
}
