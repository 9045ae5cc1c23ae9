// The base model and the adapter of a plan: shapes from headers, nothing loaded.

import Formats
import Foundation
import LoRA
import Models
import NN
import Runs
import Torch

/// A base model as its headers describe it, and the layers that follow from them.
@dynamicMemberLookup
struct PlannedBase {
    let found: TextBase
    /// Every linear layer by its path, the head left out.
    let layers: [(path: String, inputs: Int, outputs: Int)]
    /// All weights.
    let parameters: Int

    init(_ url: URL) throws {
        found = try TextBase(url)
        // A model knows its shapes before it is filled, and takes no memory until then.
        let skeleton = Llama(found.config, on: Placement(.cpu, .float32))
        layers = skeleton.modules(of: Linear.self).map { ($0.path, $0.module.weight.inputs, $0.module.weight.outputs) }
        parameters = skeleton.slots().reduce(0) { $0 + $1.slot.shape.reduce(1, *) }
    }

    subscript<T>(dynamicMember path: KeyPath<TextBase, T>) -> T { found[keyPath: path] }

    /// Weights of the decoder's linear layers.
    var linearElements: Int { layers.reduce(0) { $0 + $1.inputs * $1.outputs } }
    /// Weights of the head, which may be the embedding table.
    var headElements: Int { found.config.vocabularySize * found.config.hiddenSize }
}

/// The adapter that a configuration asks for, on the layers of a base.
struct PlannedAdapter {
    let config: LoRAConfig
    let layers: [(path: String, inputs: Int, outputs: Int)]

    /// Throws as training does where a pattern means no layer.
    init(_ config: LoRAConfig, _ base: PlannedBase) throws {
        self.config = config
        layers = try config.chosen(of: base.layers) { $0.path }
    }

    /// One line of the match table.
    struct Match: Encodable {
        let module: String
        let layers: Int
        let parameters: Int
    }

    /// How many layers of each name are adapted, in the order of the model.
    var matches: [Match] {
        var order: [String] = []
        var found: [String: (layers: Int, parameters: Int)] = [:]
        for layer in layers {
            let name = Self.leaf(layer.path)
            if found[name] == nil { order.append(name) }
            let before = found[name] ?? (0, 0)
            found[name] = (before.layers + 1, before.parameters + config.rank * (layer.inputs + layer.outputs))
        }
        return order.compactMap { name in
            found[name].map { Match(module: name, layers: $0.layers, parameters: $0.parameters) }
        }
    }

    /// Numbers that are trained.
    var parameters: Int { layers.reduce(0) { $0 + config.rank * ($1.inputs + $1.outputs) } }

    /// The first decoder layer with an adapter: what lies before it needs no way back.
    var firstLayer: Int { layers.compactMap { Self.index($0.path) }.min() ?? 0 }

    /// Adapted linear layers of one decoder layer, by name.
    func names(inLayer index: Int) -> Set<String> {
        Set(layers.filter { Self.index($0.path) == index }.map { Self.leaf($0.path) })
    }

    private static func leaf(_ path: String) -> String { String(path.split(separator: ".").last ?? "") }

    /// `model.layers.3.mlp.up_proj` → 3
    private static func index(_ path: String) -> Int? {
        let parts = path.split(separator: ".")
        guard let place = parts.firstIndex(of: "layers"), place + 1 < parts.count else { return nil }
        return Int(parts[place + 1])
    }
}
