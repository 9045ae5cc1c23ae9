// Pictures as the UNet sees them, encoded once and kept on disk.

import Datasets
import Formats
import Foundation
import Models
import NN
import Runs
import Torch

/// A picture's latent as the autoencoder gives it: a normal distribution, from which every use draws.
struct StoredLatent {
    /// (C, H, W)
    let shape: [Int]
    let mean, deviation: [Float]
    /// What counts of the picture, 0 to 1: (H, W); nil: all of it.
    let mask: [Float]?
    /// What latents are multiplied by before the UNet sees them.
    let scale: Float

    var count: Int { mean.count }

    /// A latent at the UNet's scale.
    func draw(_ normals: [Float]) -> [Float] {
        var latent = mean
        for index in latent.indices { latent[index] = (latent[index] + deviation[index] * normals[index]) * scale }
        return latent
    }
}

/// A picture in one of its two forms.
struct PictureForm {
    let sample: PictureSample
    let isFlipped: Bool
}

/// The latents of a run's pictures.
struct PictureLatents {
    private let cache: PictureCache
    private let config: AutoencoderConfig
    /// Hashes of the files that decide what the autoencoder computes.
    private let identity: [String]
    /// Hashes of the pictures and masks by path.
    private let hashes: [String: String]

    init(_ cache: PictureCache, _ config: AutoencoderConfig, identity: [String], files: [FileFact]) {
        (self.cache, self.config, self.identity) = (cache, config, identity)
        hashes = Dictionary(files.map { ($0.path, $0.sha256) }) { first, _ in first }
    }

    /// Encodes what is not in the cache, loading the autoencoder only where something is missing.
    func prepare(
        _ forms: [PictureForm], on device: Device, load: () throws -> AutoencoderKL,
        progress: (Int, Int) throws -> Void
    ) throws {
        let missing = forms.filter { cache.find("latents", key($0)) == nil }
        guard !missing.isEmpty else { return }
        let autoencoder = try load()
        for (index, form) in missing.enumerated() {
            try progress(index, missing.count)
            try encode(form, with: autoencoder, on: device)
        }
    }

    private func encode(_ form: PictureForm, with autoencoder: AutoencoderKL, on device: Device) throws {
        let picture = try form.sample.prepared(flipped: form.isFlipped)
        guard try sha256(of: form.sample.url) == form.sample.contentHash else {
            throw LatentError(path: form.sample.url.relativePath, problem: .changed)
        }
        let pixels = try Tensor(picture.pixels, [1, 3, picture.size.height, picture.size.width])
        let moments = try withoutGradients {
            let moments = try autoencoder.encode(pixels.to(device))
            return try [moments.mean, moments.deviation].map { try $0.to(.float32).to(.cpu) }
        }
        let shape = Array(moments[0].shape.dropFirst()), values = try moments.map { try $0.array(Float.self) }
        guard values.allSatisfy({ $0.allSatisfy(\.isFinite) }) else {
            throw LatentError(path: form.sample.url.relativePath, problem: .notFinite)
        }
        var entries = zip(["mean", "deviation"], values).map { name, floats in
            SafetensorsWriter.Entry(name: name, shape: shape, floats: floats)
        }
        if let mask = picture.mask {
            entries.append(.init(name: "mask", shape: Array(shape.suffix(2)), floats: mask))
        }
        try cache.keep("latents", key(form), entries)
    }

    /// The latent of a picture that was prepared.
    func load(_ form: PictureForm) throws -> StoredLatent {
        guard let file = cache.find("latents", key(form)) else {
            throw LatentError(path: form.sample.url.relativePath, problem: .missing)
        }
        let mean = try file.tensor("mean")
        return StoredLatent(
            shape: mean.shape, mean: try mean.floats(), deviation: try file.tensor("deviation").floats(),
            mask: try file.tensors["mask"]?.floats(), scale: Float(config.scalingFactor))
    }

    private func key(_ form: PictureForm) -> [String] {
        let (sample, fit) = (form.sample, form.sample.fit)
        let mask =
            switch sample.mask {
            case .file(let url): hashes[url.relativePath] ?? url.path
            case .alpha: "alpha"
            case nil: "none"
            }
        let cut = "\(fit.resized) \(fit.bucket) \(fit.corner) \(form.isFlipped)"
        return ["latents 1"] + identity + [sample.contentHash, mask, cut]
    }
}

/// A picture that has no latent.
struct LatentError: Error, CustomStringConvertible {
    enum Problem { case changed, missing, notFinite }
    let path: String
    let problem: Problem

    var description: String {
        switch problem {
        case .changed: "\(path): changed while it was read; repeat the command"
        case .missing: "\(path): its latent is not in the cache any more; repeat the command to compute it again"
        case .notFinite:
            "\(path): the autoencoder gives numbers that are not finite for this picture; take it out of the folder, or "
                + "try another autoencoder with vae:"
        }
    }
}
