// Answers prompts with a base model and any adapters, which are swapped without loading the base again.

import Commands
import Datasets
import Foundation
import LoRA
import Models
import NN
import Runs
import Tokenizers
import Torch

/// `lora generate`: the answer alone goes to standard output, as it grows.
public final class GenerateText {
    private let arguments: GenerateArguments
    private let base: TextBase
    private let model: Llama
    private let prompts: PromptEncoder
    private var adapters: [LoRASet] = []
    /// Adapters read so far, by folder: one that comes back is not read again.
    private var known: [String: LoRASet] = [:]

    /// Loads the base, fetched where it is not there yet, and puts the adapters on it.
    public init(_ arguments: GenerateArguments) throws {
        self.arguments = arguments
        base = try TextBase(ModelCatalogue.locate(arguments.base))
        let device = try Accelerator.load(arguments.device)
        model = try Llama.load(base.url, on: Placement(device, device == .cpu ? .float32 : .bfloat16))
        prompts = try PromptEncoder(base.tokenizer, systemPrompt: arguments.system, isRaw: arguments.raw)
        try use(arguments.adapter)
    }

    /// Answers `--prompt`, or every line of standard input.
    public func run() throws {
        if let prompt = arguments.prompt { return try answer(prompt) }
        while let line = readLine() {
            let words = line.split(separator: " ").map(String.init)
            if words.first == "/adapter" {
                do { try use(Array(words.dropFirst())) } catch { Console.say("\(error)") }
            } else if !words.isEmpty {
                try answer(line)
            }
        }
    }

    private func answer(_ question: String) throws {
        var decoder = StreamingDecoder(base.tokenizer)
        let options = SamplingOptions(
            maxTokens: arguments.maxTokens, temperature: arguments.temperature, topP: arguments.topP,
            seed: arguments.seed
        )
        let stops = base.tokenizer.endOfTurnIDs
        _ = try model.generate([prompts.encode(question)], options, stops: stops) { _, token in
            try Console.write(decoder.append(token))
        }
        try Console.write(decoder.finish() + "\n")
    }

    /// Takes the adapters in use off and puts these on.
    private func use(_ names: [String]) throws {
        let chosen = try names.map(load)
        for adapter in adapters { adapter.detach() }
        adapters = []
        for (adapter, strength) in chosen {
            let isNew = !adapters.contains { $0 === adapter }  // named twice, its strengths add up
            for entry in adapter.entries { entry.adapter.strength = strength + (isNew ? 0 : entry.adapter.strength) }
            if isNew { adapters.append(adapter) }
        }
        for adapter in adapters { adapter.attach() }
    }

    /// An adapter by `PATH` or `PATH:strength`.
    private func load(_ name: String) throws -> (set: LoRASet, strength: Double) {
        var (path, strength) = try AdapterName.split(name)
        if path.hasSuffix("/" + PEFT.weightsName) { path.removeLast(PEFT.weightsName.count + 1) }
        let inner = URL(fileURLWithPath: path).appendingPathComponent("checkpoints", isDirectory: true)
        let isRun = FileManager.default.fileExists(atPath: inner.path)
        let folder = isRun ? inner : URL(fileURLWithPath: path, isDirectory: true)
        let set = try known[folder.path] ?? PEFT.read(folder, for: model, on: model.placement.device)
        known[folder.path] = set
        return (set, strength)
    }
}
