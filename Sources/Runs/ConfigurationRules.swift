// What must hold between the keys of a configuration, and what follows from those that are absent.

import Foundation

extension ConfigurationReader {
    /// The configuration with defaults that depend on other keys filled in, or every problem that was found.
    mutating func finish() throws(ConfigurationError) -> Configuration {
        requireKeys()
        fillAlphaAndWarmup()
        settleTask()
        if given["learning_rate"] == nil, configuration.model.taskType == .textToImage {
            configuration.optimizer.learningRate = 1e-4
        }
        checkTaskKeys()
        checkPairs()
        checkTargets()
        configuration.run.outputDirectory = PathLookup.tidy(configuration.run.outputDirectory)
        checkOutputName()
        guard problems.isEmpty else { throw ConfigurationError(problems) }
        return configuration
    }

    private mutating func report(key: String, _ message: String) {
        let place = given[key]
        report(place?.source ?? source, place?.position, message)
    }

    private mutating func requireKeys() {
        for key in ["base_model", "output_dir"] where given[key] == nil {
            report(source, nil, "'\(key)' is missing; for example \(key): \(Settings.byKey[key]?.example ?? "")")
        }
        if given["train_data_dir"] == nil, given["metadata_path"] == nil {
            report(source, nil, "'train_data_dir' is missing; for example train_data_dir: data/train")
        }
    }

    private mutating func fillAlphaAndWarmup() {
        if given["lora_alpha"] == nil { configuration.adapter.alpha = 2 * Double(configuration.adapter.rank) }
        let (hasSteps, hasRatio) = (given["warmup_steps"] != nil, given["warmup_ratio"] != nil)
        if hasSteps, hasRatio {
            report(key: "warmup_ratio", "'warmup_ratio' and 'warmup_steps' exclude each other; keep one")
        } else if hasSteps {
            configuration.schedule.warmupRatio = nil
        } else if !hasRatio {
            configuration.schedule.warmupRatio = ScheduleOptions().warmupRatio
        }
    }

    // MARK: - Task

    private mutating func settleTask() {
        guard given["task_type"] == nil else { return }
        if let task = impliedTask {
            configuration.model.taskType = task
        } else if given["base_model"] != nil {
            let message =
                "'task_type' cannot be told from the other keys; add task_type: text-generation (or text-to-image)"
            report(source, nil, message)
        }
    }

    /// What the base model's kind, keys or the data's kind say about the task; nil where they say nothing.
    private var impliedTask: TaskType? {
        let base = configuration.model.baseModel
        if ModelCatalogue.path(base) != base { return .textGeneration }
        switch (base as NSString).pathExtension.lowercased() {
        case "gguf", "bin": return .textGeneration
        case "ckpt": return .textToImage
        default: break
        }
        if FileManager.default.fileExists(atPath: base + "/model_index.json") { return .textToImage }
        if FileManager.default.fileExists(atPath: base + "/config.json") { return .textGeneration }
        for task in [TaskType.textToImage, .textGeneration] {
            if Settings.all.contains(where: { $0.onlyTask == task && given[$0.key] != nil }) { return task }
        }
        for path in [configuration.data.metadataPath, configuration.data.trainData].compactMap({ $0 }) {
            let kinds = Set(([path] + Self.names(inFolder: path)).map { ($0 as NSString).pathExtension.lowercased() })
            if !kinds.isDisjoint(with: ["jpg", "jpeg", "png", "webp"]) { return .textToImage }
            if !kinds.isDisjoint(with: ["jsonl", "ndjson", "json", "txt", "csv", "tsv"]) { return .textGeneration }
        }
        return base.lowercased().hasSuffix(".safetensors") ? .textToImage : nil
    }

    private static func names(inFolder path: String) -> [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    }

    private mutating func checkTaskKeys() {
        let task = configuration.model.taskType
        for setting in Settings.all where given[setting.key] != nil {
            guard let only = setting.onlyTask, only != task else { continue }
            report(
                key: setting.key,
                "'\(setting.key)' belongs to \(only.rawValue), and this run is \(task.rawValue); remove it")
        }
    }

    // MARK: - Pairs of keys

    private mutating func checkPairs() {
        if given["validation_data"] != nil, configuration.data.validationSplit > 0 {
            report(key: "validation_split", "'validation_split' and 'validation_data' exclude each other; keep one")
        }
        let validates = given["validation_data"] != nil || configuration.data.validationSplit > 0
        if given["eval_steps"] != nil, !validates {
            report(
                key: "eval_steps",
                "'eval_steps' needs something to measure; add validation_split: 0.1 or validation_data")
        }
        if given["text_encoder_learning_rate"] != nil, configuration.pictures.textEncoderTargets.isEmpty {
            report(
                key: "text_encoder_learning_rate",
                "'text_encoder_learning_rate' needs layers; add text_encoder_target_modules: [self_attn, mlp]")
        }
        if configuration.pictureSamples.strengths.isEmpty {
            report(key: "samples.strengths", "'samples.strengths' is empty; for example strengths: [0, 0.8]")
        }
        let total = configuration.schedule.maxSteps ?? .max
        if let warmup = configuration.schedule.warmupSteps, warmup > total {
            report(key: "warmup_steps", "'warmup_steps' is \(warmup), more than 'max_steps', \(total); lower it")
        }
    }

    private mutating func checkTargets() {
        for (key, targets) in [
            ("target_modules", configuration.adapter.targetModules),
            ("unet_target_modules", configuration.adapter.unetTargetModules),
            ("text_encoder_target_modules", configuration.pictures.textEncoderTargets),
        ] {
            if targets.contains("") {
                report(key: key, "'\(key)': a name is empty; for example \(key): \(Settings.byKey[key]?.example ?? "")")
            }
            let isRow = targets.count == 1 && targets[0].wholeMatch(of: /[\w.]+(\s*,\s*[\w.]+)+/) != nil
            if isRow { report(key: key, "'\(key)': \(quoted(targets[0])) is one text; write [\(targets[0])]") }
        }
    }

    private mutating func checkOutputName() {
        switch configuration.expandedOutputName {
        case .success(let name):
            let isBad =
                name.isEmpty || name.hasPrefix(".") || name.contains("/") || name.utf8.count > 200
                || name.unicodeScalars.contains { $0.properties.generalCategory == .control }
                || name.lowercased() == "facts"  // the adapter's card would take the place of facts.json
            guard isBad else { return }
            report(
                key: "output_name",
                "'output_name' becomes \(quoted(name)), which cannot be an adapter's name; choose another")
        case .failure(let unknown):
            let near = nearest(to: unknown.word, among: OutputName.words)
            let advice = near.map { "did you mean {\($0)}?" } ?? "use {project} or a key such as {lora_rank}"
            report(key: "output_name", "'output_name': nothing is called \(quoted("{\(unknown.word)}")); \(advice)")
        }
    }
}

/// The adapter's name from its pattern.
enum OutputName {
    struct UnknownWord: Error { let word: String }

    /// Keys that name nothing but long text or paths are of no use in a name.
    static let words =
        ["project"]
        + Settings.all.filter { !$0.isPath && !$0.key.contains(".") }.map(\.key)
        .filter { !["output_name", "output_dir", "system_prompt"].contains($0) }
}

extension Configuration {
    /// The name of the run folder.
    public var project: String {
        let last = (run.outputDirectory as NSString).lastPathComponent
        return last.isEmpty || last == "." || last == ".." ? "lora" : last
    }

    /// The adapter's name: `output_name` with its words replaced.
    public var adapterName: String { (try? expandedOutputName.get()) ?? project }

    var expandedOutputName: Result<String, OutputName.UnknownWord> {
        var name = ""
        var rest = run.outputName[...]
        while let open = rest.firstIndex(of: "{"), let close = rest[open...].firstIndex(of: "}") {
            let word = String(rest[rest.index(after: open)..<close])
            guard OutputName.words.contains(word) else { return .failure(.init(word: word)) }
            name += rest[..<open] + (word == "project" ? project : value(of: word))
            rest = rest[rest.index(after: close)...]
        }
        return .success(name + rest)
    }

    /// A setting's value without quotes, fit for a file's name.
    private func value(of key: String) -> String {
        let text = Settings.byKey[key]?.written(self) ?? "default"
        return text.replacingOccurrences(of: ", ", with: "-").filter { !"[]\"/:".contains($0) }
    }
}
