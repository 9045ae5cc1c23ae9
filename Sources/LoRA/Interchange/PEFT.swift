// PEFT's adapter folder: `adapter_model.safetensors` and `adapter_config.json`.
//
// Facts from https://github.com/huggingface/peft/blob/main/docs/source/developer_guides/checkpoint.md and
// src/peft/tuners/lora/config.py.

import Formats
import Foundation
import NN
import Torch

/// PEFT's adapter folder.
public enum PEFT {
    private static let prefix = "base_model.model."
    public static let weightsName = "adapter_model.safetensors"
    static let configName = "adapter_config.json"

    /// Writes both files into an existing folder.
    ///
    /// - Parameter layers: the paths of all linear layers of the model, from which it follows whether names suffice to
    ///   tell the adapted ones.
    public static func write(_ set: LoRASet, base: String, layers: [String], to folder: URL) throws {
        let entries = try set.parameters.map { key, value in
            SafetensorsWriter.Entry(name: prefix + key, shape: value.shape, floats: try value.array())
        }
        let weights = folder.appendingPathComponent(weightsName)
        try SafetensorsWriter.write(entries, metadata: ["format": "pt"], to: weights)
        let config = PEFTConfig(
            baseModelNameOrPath: base, r: set.config.rank, loraAlpha: set.config.alpha,
            loraDropout: set.config.dropout, targetModules: targets(set, layers), useRslora: set.config.isRankStabilised
        )
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        try AtomicFile.write(try encoder.encode(config), to: folder.appendingPathComponent(configName))
    }

    /// Names where they mean exactly the adapted layers, whole paths otherwise.
    private static func targets(_ set: LoRASet, _ layers: [String]) -> [String] {
        let names = set.matches.keys.sorted()
        let meant = layers.filter { layer in names.contains { layer == $0 || layer.hasSuffix(".\($0)") } }
        return meant.count == set.entries.count ? names : set.entries.map(\.path)
    }

    /// Reads an adapter folder onto `model`, without attaching it; every key must have its place.
    public static func read(_ folder: URL, for model: Module, on device: Device) throws -> LoRASet {
        let url = folder.appendingPathComponent(configName)
        let config = try PEFTConfig(file: url)
        let file = try SafetensorsFile(folder.appendingPathComponent(weightsName))
        let layers = Dictionary(uniqueKeysWithValues: model.modules(of: Linear.self).map { ($0.path, $0.module) })
        let lora = LoRAConfig(
            rank: config.r, alpha: config.loraAlpha, dropout: config.loraDropout ?? 0,
            isRankStabilised: config.useRslora ?? false, targets: config.targetModules.names
        )
        var left = Set(file.tensors.keys)
        let paths = left.compactMap { $0.hasSuffix(".lora_A.weight") ? String($0.dropLast(14)) : nil }.sorted()
        let entries = try paths.map { key in
            let path = key.hasPrefix(prefix) ? String(key.dropFirst(prefix.count)) : key
            guard let layer = layers[path] else {
                let problem = "'\(key)' adapts a layer that this model lacks or that takes no adapter here"
                throw LoRAError.file(path: file.file.url.path, problem: problem)
            }
            left.subtract(["\(key).lora_A.weight", "\(key).lora_B.weight"])
            let adapter = try adapter(key, in: file, for: layer, lora, on: device)
            return LoRASet.Entry(path: path, layer: layer, adapter: adapter)
        }
        guard left.isEmpty, !entries.isEmpty else {
            let what = left.sorted().first.map { "'\($0)' is not part of a LoRA that is read here" } ?? "no LoRA in it"
            throw LoRAError.file(path: file.file.url.path, problem: what)
        }
        return LoRASet(config: lora, entries: entries)
    }

    private static func adapter(
        _ key: String, in file: SafetensorsFile, for layer: Linear, _ config: LoRAConfig, on device: Device
    ) throws -> LoRA {
        let (a, b) = (try file.tensor("\(key).lora_A.weight"), try file.tensor("\(key).lora_B.weight"))
        let expected = ([config.rank, layer.weight.inputs], [layer.weight.outputs, config.rank])
        guard a.shape == expected.0, b.shape == expected.1 else {
            throw LoRAError.file(
                path: file.file.url.path,
                problem:
                    "'\(key)' is \(a.shape) and \(b.shape), expected \(expected.0) and \(expected.1); was it trained "
                    + "on another base model?"
            )
        }
        return LoRA(
            a: try Tensor(a.floats(), a.shape).to(device), b: try Tensor(b.floats(), b.shape).to(device),
            scale: config.scale
        )
    }
}

/// The fields of `adapter_config.json` that are read and written.
private struct PEFTConfig: Codable {
    var peftType = "LORA"
    var taskType: String? = "CAUSAL_LM"
    var baseModelNameOrPath: String?
    var r: Int
    var loraAlpha: Double
    var loraDropout: Double?
    var targetModules: Targets
    var useRslora: Bool?
    var useDora: Bool? = false
    var bias: String? = "none"
    var fanInFanOut: Bool? = false
    var inferenceMode: Bool? = true
    var rankPattern: [String: Int]? = [:]
    var alphaPattern: [String: Double]? = [:]

    /// A list of names, or one text: a regular expression or `all-linear`. Which layers are meant, the weights say.
    struct Targets: Codable {
        let names: [String]

        init(_ names: [String]) { self.names = names }

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            names = try (try? container.decode(String.self)).map { [$0] } ?? container.decode([String].self)
        }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            try container.encode(names)
        }
    }
}

extension PEFTConfig {
    init(
        baseModelNameOrPath: String, r: Int, loraAlpha: Double, loraDropout: Double, targetModules: [String],
        useRslora: Bool
    ) {
        (self.baseModelNameOrPath, self.r, self.loraAlpha) = (baseModelNameOrPath, r, loraAlpha)
        (self.loraDropout, self.targetModules, self.useRslora) = (loraDropout, Targets(targetModules), useRslora)
    }

    init(file url: URL) throws {
        func refuse(_ problem: String) -> LoRAError { .file(path: url.path, problem: problem) }
        guard let data = try? Data(contentsOf: url) else {
            throw refuse("not found; an adapter is a folder with adapter_config.json and adapter_model.safetensors")
        }
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        do {
            self = try decoder.decode(PEFTConfig.self, from: data)
        } catch {
            throw refuse("not a configuration of PEFT's LoRA: \((error as? DecodingError)?.inWords ?? "\(error)")")
        }
        guard peftType == "LORA" else { throw refuse("peft_type is '\(peftType)', expected 'LORA'") }
        guard r > 0 else { throw refuse("r is \(r)") }
        if useDora == true { throw refuse("DoRA adapters are not read yet") }
        if rankPattern?.isEmpty == false || alphaPattern?.isEmpty == false {
            throw refuse("rank_pattern and alpha_pattern are not read yet")
        }
        if let bias, bias != "none" { throw refuse("bias is '\(bias)', expected 'none'") }
    }
}
