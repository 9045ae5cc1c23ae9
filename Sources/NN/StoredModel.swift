// Filling a model from a checkpoint, strictly.

import Formats

/// Stored tensors by the keys that the model's own modules have.
public struct StoredModel: Sendable {
    /// The file or folder, for messages.
    public let name: String
    public let sources: [String: WeightSource]

    public init(name: String, sources: [String: WeightSource]) {
        (self.name, self.sources) = (name, sources)
    }

    /// Fills every slot of `model`, after checking all keys and shapes; every mismatch is in the one error.
    public func load(into model: Module, on placement: Placement) throws {
        let slots = model.slots()
        var problems: [String] = []
        for (key, slot) in slots {
            guard let source = sources[key] else {
                problems.append("missing '\(key)' \(slot.shape)")
                continue
            }
            if source.tensor.shape != slot.shape {
                problems.append("'\(key)' is \(source.tensor.shape), expected \(slot.shape)")
            }
        }
        let known = Set(slots.map(\.key))
        problems += sources.keys.filter { !known.contains($0) }.sorted().map { "unexpected '\($0)'" }
        guard problems.isEmpty else { throw NNError.mismatch(file: name, problems: problems) }
        for (key, slot) in slots {
            if let source = sources[key] { try slot.fill(source, on: placement) }
        }
    }
}
