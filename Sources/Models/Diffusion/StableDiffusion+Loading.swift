// Loading the parts of a Stable Diffusion model from a diffusers folder.
//
// Old names of the autoencoder's attention are those that
// https://github.com/huggingface/diffusers/blob/main/src/diffusers/models/modeling_utils.py converts.

import Formats
import Foundation
import NN
import Torch

extension StableDiffusion {
    private struct Index: Decodable {
        let _className: String?
    }

    /// Loads a folder with `unet/`, `vae/` and `text_encoder/`, memory-mapped where the device allows it.
    public static func load(_ folder: URL, on placement: Placement) throws -> StableDiffusion {
        try check(folder)
        return StableDiffusion(
            textEncoder: try .load(folder.appendingPathComponent("text_encoder"), on: placement),
            unet: try .load(folder.appendingPathComponent("unet"), on: placement),
            autoencoder: try .load(folder.appendingPathComponent("vae"), on: placement))
    }

    /// Refuses what is not a diffusers folder of Stable Diffusion 1 or 2, before anything is read.
    private static func check(_ folder: URL) throws {
        let index = folder.appendingPathComponent("model_index.json")
        let exists = FileManager.default.fileExists(atPath: index.path)
        let name = exists ? try ModelFile.decode(Index.self, index)._className : nil
        let others = ["StableDiffusionXL", "StableDiffusion3"]
        if let name, !name.hasPrefix("StableDiffusion") || others.contains(where: name.hasPrefix) {
            throw ModelError.config(
                file: index.path, problem: "a \(name), which is not read; use a Stable Diffusion 1.x or 2.x model")
        }
        for part in ["unet", "vae", "text_encoder"] {
            var isFolder: ObjCBool = false
            let path = folder.appendingPathComponent(part).path
            guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue else {
                throw ModelError.config(
                    file: folder.path,
                    problem: "has no folder '\(part)'; name a diffusers folder with unet/, vae/ and text_encoder/")
            }
        }
    }
}

extension UNet2DConditionModel {
    /// Loads the `unet` of a diffusers folder.
    public static func load(_ folder: URL, on placement: Placement) throws -> UNet2DConditionModel {
        let config = try UNetConfig(file: folder.appendingPathComponent("config.json"))
        let model = UNet2DConditionModel(config, on: placement)
        try DiffusersFolder.fill(model, from: folder, on: placement) { $0 }
        return model
    }
}

extension AutoencoderKL {
    /// Loads the `vae` of a diffusers folder.
    public static func load(_ folder: URL, on placement: Placement) throws -> AutoencoderKL {
        let config = try AutoencoderConfig(file: folder.appendingPathComponent("config.json"))
        let model = AutoencoderKL(config)
        try DiffusersFolder.fill(model, from: folder, on: placement, name: DiffusersNames.autoencoder)
        return model
    }
}

extension CLIPTextModel {
    /// Loads the `text_encoder` of a diffusers folder.
    public static func load(_ folder: URL, on placement: Placement) throws -> CLIPTextModel {
        let config = try CLIPTextConfig(file: folder.appendingPathComponent("config.json"))
        let model = CLIPTextModel(config, on: placement)
        try DiffusersFolder.fill(model, from: folder, stem: "model", on: placement, name: DiffusersNames.text)
        return model
    }
}

/// One part of a diffusers folder.
private enum DiffusersFolder {
    /// Fills `model`; `name` gives the key of a stored tensor, or nil for one that is not needed.
    static func fill(
        _ model: Module, from folder: URL, stem: String = "diffusion_pytorch_model", on placement: Placement,
        name: (String) -> String?
    ) throws {
        let files = try SafetensorsFolder(folder, stem: stem, variants: ["fp16", "bf16"])
        let shapes = Dictionary(uniqueKeysWithValues: model.slots().map { ($0.key, $0.slot.shape) })
        var sources: [String: WeightSource] = [:]
        for (stored, tensor) in files.tensors {
            guard let key = name(stored) else { continue }
            let source = WeightSource(try matrix(tensor, where: shapes[key]?.count == 2))
            guard sources.updateValue(source, forKey: key) == nil else {
                throw NNError.mismatch(file: folder.path, problems: ["'\(key)' is stored twice, under two names"])
            }
        }
        try StoredModel(name: folder.path, sources: sources).load(into: model, on: placement)
    }

    /// The same elements as a matrix, where a matrix is wanted and a convolution of one pixel is stored.
    private static func matrix(_ tensor: StoredTensor, where isWanted: Bool) throws -> StoredTensor {
        guard isWanted, tensor.shape.count == 4, tensor.shape.suffix(2) == [1, 1] else { return tensor }
        return try StoredTensor(
            name: tensor.name, type: tensor.type, shape: Array(tensor.shape.prefix(2)), file: tensor.file,
            offset: tensor.offset)
    }
}

/// Names of stored tensors that depend on the version that wrote them.
enum DiffusersNames {
    /// What the autoencoder's attention was called before diffusers 0.17.
    private static let old = [
        "query": ["to_q"], "key": ["to_k"], "value": ["to_v"], "proj_attn": ["to_out", "0"],
    ]

    /// `encoder.mid_block.attentions.0.query.weight` → `encoder.mid_block.attentions.0.to_q.weight`.
    static func autoencoder(_ name: String) -> String {
        guard name.contains(".attentions.") else { return name }
        return name.split(separator: ".").map(String.init).flatMap { old[$0] ?? [$0] }.joined(separator: ".")
    }

    /// Transformers 5 leaves out the prefix; files before its version 4.31 hold the positions' numbers.
    static func text(_ name: String) -> String? {
        if name.hasSuffix("embeddings.position_ids") { return nil }
        return name.hasPrefix("text_model.") ? name : "text_model.\(name)"
    }
}
