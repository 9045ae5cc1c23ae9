// The reference's encodings, made by scripts/goldens/tokenizer.py and tokenizer_gguf.py.

import Foundation
import TestSupport
import Tokenizers

/// What the reference makes of hard texts with one small tokenizer.
struct TokenizerGolden: Decodable, Sendable {
    struct Encoding: Decodable, Sendable {
        let text: String
        let ids: [Int]
        /// With special tokens taken as text.
        let plain: [Int]
    }

    struct Decoding: Decodable, Sendable {
        let ids: [Int]
        let text: String
        /// Without special tokens.
        let skipped: String
    }

    let encode: [Encoding]
    let decode: [Decoding]

    static let names = ["gpt2", "smollm", "llama3", "qwen2", "llama2", "mistral"]

    static func folder(_ name: String) -> URL { goldens.appendingPathComponent("tokenizer-\(name)") }

    init(_ name: String) throws {
        let data = try Data(contentsOf: Self.folder(name).appendingPathComponent("cases.json"))
        self = try JSONDecoder().decode(TokenizerGolden.self, from: data)
    }
}
