// The adapters of a whole model.

import NN
import Torch

/// All adapters of one name on a model, in the order of the model's layers.
public final class LoRASet {
    public struct Entry {
        /// The adapted layer's path, which is its key in the checkpoint without `.weight`.
        public let path: String
        public let layer: any AdaptedLayer
        public let adapter: LoRA
    }

    public let config: LoRAConfig
    public let entries: [Entry]

    init(config: LoRAConfig, entries: [Entry]) {
        (self.config, self.entries) = (config, entries)
    }

    /// Puts fresh adapters onto every layer of `model` that the configuration means.
    ///
    /// Throws where a pattern means no layer, with the names there are.
    public static func inject(_ config: LoRAConfig, into model: Module, seed: Int, on device: Device) throws -> LoRASet
    {
        let entries = try config.check(against: model).map { path, layer in
            let adapter = try LoRA.fresh(for: layer, path: path, config: config, seed: seed, on: device)
            return Entry(path: path, layer: layer, adapter: adapter)
        }
        let set = LoRASet(config: config, entries: entries)
        set.attach()
        return set
    }

    /// Adds these adapters to their layers.
    public func attach() { entries.forEach { $0.layer.adapters.append($0.adapter) } }

    /// Takes these adapters off their layers.
    public func detach() {
        for entry in entries { entry.layer.adapters.removeAll { $0 === entry.adapter } }
    }

    /// Runs `body` with these adapters taken off.
    public func withoutAdapters<R>(_ body: () throws -> R) rethrows -> R {
        detach()
        defer { attach() }
        return try body()
    }

    /// Everything that is trained, by PEFT's keys without its prefix, in a fixed order.
    public var parameters: [(key: String, value: Tensor)] {
        entries.flatMap {
            [("\($0.path).lora_A.weight", $0.adapter.a), ("\($0.path).lora_B.weight", $0.adapter.b)]
        }
    }

    /// Numbers that are trained, in all.
    public var parameterCount: Int { parameters.reduce(0) { $0 + $1.value.count } }

    /// How many layers of each name are adapted: `q_proj` → 30.
    public var matches: [String: Int] {
        entries.reduce(into: [:]) { $0[Self.leafName($1.path), default: 0] += 1 }
    }

    /// Draws new dropout masks; the same for the same step and micro-batch.
    public func drawDropout(seed: Int, step: Int, microBatch: Int) {
        guard config.dropout > 0 else { return }
        var stream = RandomStream(seed: seed, purpose: "dropout.\(step).\(microBatch)")
        for entry in entries {
            entry.adapter.dropout = Dropout(probability: config.dropout, seed: Int(truncatingIfNeeded: stream.next()))
        }
    }

    /// Runs `body` without dropout.
    public func withoutDropout<R>(_ body: () throws -> R) rethrows -> R {
        let kept = entries.map(\.adapter.dropout)
        entries.forEach { $0.adapter.dropout = nil }
        defer { for (entry, dropout) in zip(entries, kept) { entry.adapter.dropout = dropout } }
        return try body()
    }

    /// The last component of a path, with the one before it where the last is a number: `q_proj`, `to_out.0`.
    fileprivate static func leafName(_ path: String) -> String {
        let parts = path.split(separator: "."), isNumber = parts.last.map { Int($0) != nil } ?? false
        return parts.suffix(isNumber ? 2 : 1).joined(separator: ".")
    }
}

extension LoRAConfig {
    /// The layers of `model` that are meant. Throws where a pattern means none, with the names there are.
    @discardableResult
    public func check(against model: Module) throws -> [(path: String, layer: any AdaptedLayer)] {
        let layers = model.modules(of: (any AdaptedLayer).self).map { (path: $0.path, layer: $0.module) }
        return try chosen(of: layers, path: \.path)
    }

    /// The same of layers that are known by their paths alone, in their order.
    public func chosen<Layer>(of layers: [Layer], path: (Layer) -> String) throws -> [Layer] {
        let patterns = targets.map(TargetPattern.init)
        let idle = patterns.first { pattern in !layers.contains { pattern.matches(path($0)) } }
        if idle != nil || patterns.isEmpty {
            let names = Set(layers.map { LoRASet.leafName(path($0)) }).sorted()
            throw LoRAError.noMatch(key: key, pattern: idle?.text ?? "", names: names)
        }
        return layers.filter { layer in patterns.contains { $0.matches(path(layer)) } }
    }
}

/// What is wrong with adapters.
public enum LoRAError: Error, CustomStringConvertible {
    case noMatch(key: String, pattern: String, names: [String])
    case file(path: String, problem: String)
    case prompt(String)

    public var description: String {
        switch self {
        case .noMatch(let key, let pattern, let names):
            "\(key): '\(pattern)' matches no layer of this model; its layers are \(names.joined(separator: ", "))"
        case .file(let path, let problem): "\(path): \(problem)"
        case .prompt(let problem): problem
        }
    }
}
