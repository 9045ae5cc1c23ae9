// What a configuration names, looked at in the order in which training would meet it.

import Commands
import Datasets
import Foundation
import LoRA
import Models
import NN
import Runs
import Tokenizers
import Torch

extension Diagnosis {
    /// The configuration, and all that it names as far as each can be looked at.
    mutating func check(_ file: String) {
        guard let configuration = read(file) else { return checkPlaces(["models", "."]) }
        checkPlaces(["models", configuration.run.outputDirectory])
        guard let placement = attempt("device", { try FineTune.placement(configuration) }) else { return }
        guard let base = base(configuration) else {
            return warn("data", "not looked at, since the base model's tokenizer cannot be used")
        }
        checkTokenizer(base, configuration)
        let adapter = attempt("adapter") { try PlannedAdapter(LoRAConfig(text: configuration.adapter), base) }
        if let adapter {
            let names = adapter.matches.map { "\($0.module) ×\($0.layers)" }.joined(separator: ", ")
            ok("adapter", "\(names); \(PlanText.count(adapter.parameters)) parameters")
        }
        let found = attempt("data") { try TextData(configuration, tokenizer: base.found.tokenizer) }
        guard let data = found else { return }
        check(data, base)
        if let adapter { checkMemory(configuration, base, adapter, data, placement) }
        // As training settles it before the run gets its identity.
        var settled = configuration
        settled.run.mixedPrecision = MixedPrecision(placement.dtype)
        checkOutput(settled, base, data)
    }

    private mutating func read(_ file: String) -> Configuration? {
        do throws(ConfigurationError) {
            let configuration = try Configuration.load(file)
            guard attempt("configuration", { try configuration.refusePictures(for: "doctor") }) != nil else {
                return nil
            }
            ok("configuration", "\(file) is understood")
            return configuration
        } catch {
            for problem in error.problems { fail("configuration", "\(problem)") }
            return nil
        }
    }

    // MARK: - Base model

    private mutating func base(_ configuration: Configuration) -> PlannedBase? {
        let name = configuration.model.baseModel
        let path = ModelCatalogue.path(name)
        guard FileManager.default.fileExists(atPath: path) else {
            if ModelCatalogue.entries.contains(where: { $0.name == name }) {
                warn("base model", "\(name) is not here yet", "`lora train` and `lora plan` fetch it once")
            } else {
                fail("base model", "\(path): there is no such file or folder", "check base_model")
            }
            return nil
        }
        return attempt("base model") {
            let url = URL(fileURLWithPath: path)
            let base = try PlannedBase(url)
            // Filling a model checks every key, shape and type; weights are mapped, not read.
            _ = try Llama.load(url, on: Placement(.cpu, .float32))
            return base
        }.map { base in
            let size = "\(PlanText.count(base.parameters)) parameters as \(base.storage), \(PlanText.bytes(base.bytes))"
            ok("base model", "\(path): \(base.name), architecture \(base.config.architecture), \(size)")
            return base
        }
    }

    private mutating func checkTokenizer(_ base: PlannedBase, _ configuration: Configuration) {
        let tokenizer = base.found.tokenizer
        let known = tokenizer.vocabularySize, vocabulary = base.config.vocabularySize
        let specials = "BOS \(tokenizer.bosToken ?? "none"), EOS \(tokenizer.eosToken ?? "none")"
        if known > vocabulary {
            warn(
                "tokenizer", "has \(PlanText.count(known)) tokens, the model knows \(PlanText.count(vocabulary))",
                "is it this model's tokenizer?")
        } else if tokenizer.endOfTurnIDs.isEmpty {
            warn("tokenizer", "\(specials): nothing ends an answer", "add an eos_token to tokenizer_config.json")
        } else {
            ok("tokenizer", "\(PlanText.count(known)) tokens, \(specials)")
        }
        let probe = "Grüße, 世界 🙂"
        let back = tokenizer.decode(tokenizer.encode(probe), skippingSpecialTokens: true)
        if back.trimmingCharacters(in: .whitespaces) != probe {
            warn("tokenizer", "'\(probe)' comes back as '\(back)'", "texts with such characters will lose them")
        }
        let encoded = attempt("chat template") {
            try PromptEncoder(tokenizer, systemPrompt: configuration.data.systemPrompt).encode("What is LoRA?")
        }
        guard let encoded else { return }
        let shown = tokenizer.decode(encoded).replacingOccurrences(of: "\n", with: "⏎")
        if tokenizer.chatTemplateSource == nil {
            warn("chat template", "the model has none; a plain one is used: \(shown.suffix(70))")
        } else {
            ok("chat template", "a question becomes \(encoded.count) tokens, …\(shown.suffix(70))")
        }
    }

    // MARK: - Data

    private mutating func check(_ data: TextData, _ base: PlannedBase) {
        ok("data", data.summary.line)
        for warning in data.warnings { warn("data", warning) }
        let samples = data.training + data.validation
        let longest = samples.map(\.tokens.count).max() ?? 0
        if let limit = base.config.contextLength, longest > limit {
            fail(
                "length", "a sample has \(longest) tokens, the model was made for \(limit)", "set max_length: \(limit)")
        } else if let limit = base.config.contextLength {
            ok("length", "at most \(longest) tokens, the model was made for \(PlanText.count(limit))")
        }
        let largest = samples.lazy.flatMap(\.tokens).max().map(Int.init) ?? 0
        if largest >= base.config.vocabularySize {
            let known = PlanText.count(base.config.vocabularySize)
            fail("data", "the tokenizer gives token \(largest), but the model knows only \(known)")
        }
        sampleTable = data.table
    }

    private mutating func checkMemory(
        _ configuration: Configuration, _ base: PlannedBase, _ adapter: PlannedAdapter, _ data: TextData,
        _ placement: Placement
    ) {
        let work = PlannedWork(data, configuration)
        let room = MemoryRoom(program: MachineState.residentMemory, placement: placement)
        let memory = PlannedMemory(base, adapter, MemoryDemand(work, configuration), room)
        let finding = "the run needs about \(PlanText.bytes(memory.total)), \(PlanText.bytes(room.available)) are free"
        if memory.fits {
            ok("memory", finding)
        } else {
            warn("memory", finding, "see `lora plan` for the change that makes it fit")
        }
    }
}
