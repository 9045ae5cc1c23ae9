// Captions and prompts as the UNet is told them: tokens, the text encoder, its states on disk.

import Formats
import Foundation
import LoRA
import Models
import NN
import Runs
import Tokenizers
import Torch

/// Texts to states (B, S, context), S a multiple of 77.
final class PictureText {
    private let tokenizer: CLIPTokenizer
    private let skipped: Int
    private let identity: [String]
    private let cache: PictureCache?
    /// Loaded; nil: every text that is asked for was encoded before.
    private(set) var encoder: CLIPTextModel?
    /// States that were not kept on disk: those of the samples' prompts.
    private var remembered: [String: Tensor] = [:]

    /// - Parameters:
    ///   - clipSkip: 1 reads the encoder's last layer, 2 the one before.
    ///   - identity: hashes of the files that decide what the encoder computes.
    init(
        _ encoder: CLIPTextModel, _ tokenizer: CLIPTokenizer, clipSkip: Int, cache: PictureCache? = nil,
        identity: [String] = []
    ) {
        (self.encoder, self.tokenizer, self.cache, self.identity) = (encoder, tokenizer, cache, identity)
        skipped = clipSkip - 1
    }

    /// How many of a caption's tokens do not fit and are left out.
    func cutCount(_ caption: String) -> Int { tokenizer.encode(caption).cutCount }

    // MARK: - Captions

    /// Encodes captions that are not in the cache, then forgets the encoder.
    func prepare(_ captions: Set<String>, progress: (Int, Int) throws -> Void) throws {
        guard let cache, let encoder else { return }
        let missing = captions.filter { cache.find("text", key($0)) == nil }.sorted()
        for (index, caption) in missing.enumerated() {
            try progress(index, missing.count)
            let states = try withoutGradients { try encode([caption], with: encoder).to(.float32).to(.cpu) }
            let floats = try states.array(Float.self)
            guard floats.allSatisfy(\.isFinite) else { throw PictureTextError.notFinite(caption) }
            try cache.keep("text", key(caption), [.init(name: "states", shape: states.shape, floats: floats)])
        }
        self.encoder = nil
    }

    /// The states of a batch of captions; with gradients, where the encoder is trained.
    func states(_ captions: [String], on device: Device) throws -> Tensor {
        if let encoder { return try encode(captions, with: encoder) }
        return try concatenated(
            captions.map { caption in
                guard let stored = try cache?.find("text", key(caption))?.tensor("states") else {
                    throw PictureTextError.missing(caption)
                }
                return try Tensor(stored.floats(), stored.shape)
            }
        ).to(device)
    }

    private func encode(_ captions: [String], with encoder: CLIPTextModel) throws -> Tensor {
        try encoder(captions.map { tokenizer.encode($0).ids }, skipping: skipped)
    }

    private func key(_ caption: String) -> [String] {
        ["text 1", "\(skipped)"] + identity + ["\(tokenizer.encode(caption).ids)"]
    }

    // MARK: - Prompts

    /// The states of a prompt and of a negative prompt, of any length: both (1, S, context), S as the longer one needs.
    func pair(_ prompt: String, _ negative: String) throws -> (prompt: Tensor, negative: Tensor) {
        let count = [prompt, negative].map { tokenizer.chunks($0, commaReach: 20).count }.max() ?? 1
        return (try states(ofPrompt: prompt, chunks: count), try states(ofPrompt: negative, chunks: count))
    }

    /// Computes what `pair` will be asked, while the encoder is still there.
    func remember(_ prompts: [String], _ negative: String) throws {
        for prompt in prompts { _ = try pair(prompt, negative) }
    }

    private func states(ofPrompt prompt: String, chunks: Int) throws -> Tensor {
        let key = "\(chunks) \(prompt)"
        if let states = remembered[key] { return states }
        guard let encoder else { throw PictureTextError.missing(prompt) }
        let rows = tokenizer.chunks(prompt, count: chunks, commaReach: 20).map(\.ids)
        let states = try withoutGradients {
            let states = try encoder(rows, skipping: skipped)
            return try states.reshape(1, rows.count * states.shape[1], states.shape[2])
        }
        if !isTrained { remembered[key] = states }
        return states
    }

    /// Whether adapters change the encoder, so that nothing it gives may be remembered.
    var isTrained = false
}

/// What is wrong with a text's states.
enum PictureTextError: Error, CustomStringConvertible {
    case missing(String)
    case notFinite(String)

    var description: String {
        switch self {
        case .missing(let text):
            "the states of '\(text.prefix(60))' are not in the cache any more; repeat the command to compute them again"
        case .notFinite(let text):
            "the text encoder gives numbers that are not finite for '\(text.prefix(60))'; the base model is damaged: "
                + "fetch it again"
        }
    }
}
