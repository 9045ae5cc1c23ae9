// Damaged and unsupported files: one line that names the file, the place and what to do, and never a crash.

import Foundation
import TestSupport
import Testing

@testable import Tokenizers

@Suite("Bad tokenizer files are refused")
struct TokenizerErrorTests {
    /// A change to a sound file, and what the message must say.
    struct Damage: Sendable, CustomTestStringConvertible {
        let old: String
        let new: String
        let message: String
        var testDescription: String { "\(old) → \(new)" }
    }

    static let damages = [
        Damage(old: #""model":{"#, new: #""modell":{"#, message: "'model' must be an object, got nothing"),
        Damage(old: #""type":"BPE""#, new: #""type":"Unigram""#, message: "'model.type' is 'Unigram'"),
        Damage(old: #""vocab":{"#, new: #""vocab":7,"v":{"#, message: "'model.vocab' must be an object"),
        Damage(old: #""vocab":{"#, new: #""words":{"#, message: "'model.vocab' must be an object, got nothing"),
        Damage(old: #""<s>":0,"#, new: #""<s>":"0","#, message: "'model.vocab.<s>' must be an integer of at least 0"),
        Damage(old: #""<s>":0,"#, new: #""<s>":-1,"#, message: "'model.vocab.<s>' must be an integer of at least 0"),
        Damage(old: #""<s>":0,"#, new: #""<s>":99999999,"#, message: "'model.vocab.<s>' must be an id below 4194304"),
        Damage(old: #""<s>":0,"#, new: #""<s>":99999999999999999999,"#, message: "fewer digits"),
        Damage(old: #""merges":["#, new: #""merge":["#, message: "'model.merges' must be an array, got nothing"),
        Damage(old: #""merges":["#, new: #""merges":[["a","nowhere"],"#, message: "got 'nowhere', which model.vocab"),
        Damage(old: #""merges":["#, new: #""merges":["abc","#, message: "'model.merges[0]' must be two tokens"),
        Damage(old: #""merges":["#, new: #""merges":[["a"],"#, message: "got an array of 1"),
        Damage(old: #""merges":["#, new: #""merges":[7,"#, message: "'model.merges[0]' must be a string"),
        Damage(old: #""end_of_word_suffix":null"#, new: #""end_of_word_suffix":"</w>""#, message: "is '</w>'"),
        Damage(
            old: #"\\p{N}{1,3}"#, new: #"\\p{N}{1,4}"#, message: "'pre_tokenizer.pretokenizers[0].pattern.Regex' is an"),
        Damage(old: #""behavior":"Isolated""#, new: #""behavior":"MergedWithNext""#, message: "is 'MergedWithNext'"),
        Damage(old: #"{"type":"ByteLevel","add"#, new: #"{"type":"Bert","add"#, message: "'Bert', which lora does not"),
        Damage(
            old: #""content":"<s>""#, new: #""content":7"#, message: "'added_tokens[0].content' must be a string, got 7"
        ),
        Damage(old: #"{"id":0,"#, new: #"{"id":"x","#, message: "'added_tokens[0].id' must be an integer, got 'x'"),
        Damage(
            old: #""normalizer":null"#, new: #""normalizer":{"type":"NFKC"}"#, message: "'normalizer.type' is 'NFKC'"),
        Damage(old: #""normalizer":null"#, new: #""normalizer":"NFC""#, message: "'normalizer.type' must be a string"),
    ]

    @Test("with the key and what was expected", arguments: damages)
    func namesTheKey(_ damage: Damage) throws {
        try withFolder("llama3", [:], changing: (damage.old, damage.new)) { folder in
            let message = try message(folder)
            #expect(message.contains(damage.message), "\(message)")
            #expect(message.hasPrefix("\(folder.path)/tokenizer.json: ") && !message.contains("\n"), "\(message)")
        }
    }

    @Test("when files are absent, empty, cut off or something else")
    func namesTheFile() throws {
        try withTemporaryFolder { folder in
            let file = folder.appendingPathComponent("tokenizer.json")
            #expect(try message(folder).contains("no such file; lora reads tokenizer.json"))
            try Data().write(to: folder.appendingPathComponent("tokenizer.model"))
            #expect(try message(folder).contains("no such file, only tokenizer.model"))
            try Data().write(to: file)
            #expect(try message(folder).contains("is empty; fetch it again"))
            try Data("version https://git-lfs.github.com/spec/v1\n".utf8).write(to: file)
            #expect(try message(folder).contains("run 'git lfs pull'"))
            try Data("<html>".utf8).write(to: file)
            #expect(try message(folder).contains("'the whole file' must be an object"))
        }
        try withFolder("gpt2", ["tokenizer_config.json": "[1]"]) {
            let message = try message($0)
            #expect(message.contains("tokenizer_config.json: 'the whole file' must be an object"))
        }
        try withFolder("gpt2", ["tokenizer_config.json": #"{"eos_token": 5}"#]) {
            let message = try message($0)
            #expect(message.contains("tokenizer_config.json: 'eos_token' must be a string or an object"))
        }
    }

    @Test("when they are cut off anywhere")
    func refusesTruncation() throws {
        let whole = try Data(contentsOf: TokenizerGolden.folder("qwen2").appendingPathComponent("tokenizer.json"))
        try withTemporaryFolder { folder in
            for length in stride(from: 1, to: whole.count, by: 501) {
                try whole.prefix(length).write(to: folder.appendingPathComponent("tokenizer.json"))
                let message = try message(folder)
                #expect(message.contains("cut off") && !message.contains("\n"), "\(length): \(message)")
            }
        }
    }

    @Test("or read, but never crash, after random changes", arguments: ["smollm", "mistral"])
    func survivesMutation(_ name: String) throws {
        let whole = try [UInt8](Data(contentsOf: TokenizerGolden.folder(name).appendingPathComponent("tokenizer.json")))
        var random = UInt64(7)
        func next(_ limit: Int) -> Int {
            random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(random >> 33) % limit
        }
        let alphabet = Array("{}[]\",:0129-.eEtfn\\u \n▁é".utf8) + [0, 0xFF, 0x80]
        for _ in 0..<300 {
            var bytes = whole
            for _ in 0...next(4) {
                let place = next(3) == 0 ? next(min(2000, bytes.count)) : next(bytes.count)
                if next(4) == 0 {
                    bytes.removeSubrange(place..<min(place + 1 + next(40), bytes.count))
                } else {
                    bytes[place] = alphabet[next(alphabet.count)]
                }
            }
            do {
                let stages = try TokenizerStages(JSONText(bytes, file: "tokenizer.json"))
                let tokenizer = try Tokenizer(stages, SpecialTokens(), folder: nil)
                _ = tokenizer.decode(tokenizer.encode("The low rank 学习 <|end|> 12\u{0}\n"))
            } catch let error as TokenizerError {
                #expect(error.description.hasPrefix("tokenizer.json: ") && !error.description.contains("\n"))
            }
        }
    }

    private func message(_ folder: URL) throws -> String {
        do {
            _ = try Tokenizer(folder: folder)
            return "no error"
        } catch let error as TokenizerError {
            return error.description
        }
    }
}
