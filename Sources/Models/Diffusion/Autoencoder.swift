// The autoencoder between pictures and latents.
// Port of https://github.com/huggingface/diffusers/blob/main/src/diffusers/models/autoencoders/autoencoder_kl.py
// (with vae.py beside it and ../unets/unet_2d_blocks.py).
//
// B pictures, C channels, H height, W width.

import Formats
import Foundation
import NN
import Torch

/// The fields of an `AutoencoderKL`'s `config.json` that this port reads.
public struct AutoencoderConfig: Sendable, Equatable {
    public var inChannels, outChannels, latentChannels: Int
    /// Channels of each level, the finest first.
    public var blockChannels: [Int]
    public var layersPerBlock: Int
    public var groups: Int
    /// What latents are multiplied by before the UNet sees them.
    public var scalingFactor: Double

    /// Pixels a latent stands for, in each direction.
    public var pixelsPerLatent: Int { 1 << (blockChannels.count - 1) }
}

extension AutoencoderConfig {
    private struct File: Decodable {
        let inChannels, outChannels, latentChannels, layersPerBlock, normNumGroups: Int?
        let blockOutChannels: [Int]?
        let scalingFactor, shiftFactor: Double?
        let downBlockTypes, upBlockTypes: [String]?
        let actFn: String?
        let useQuantConv, usePostQuantConv, midBlockAddAttention: Bool?
    }

    /// Reads `vae/config.json`.
    public init(file url: URL) throws {
        let file = try ModelFile.decode(File.self, url)
        let channels = file.blockOutChannels ?? [64]
        let kinds = Set((file.downBlockTypes ?? []) + (file.upBlockTypes ?? []))
        guard kinds.isSubset(of: ["DownEncoderBlock2D", "UpDecoderBlock2D"]), file.shiftFactor ?? 0 == 0,
            file.actFn ?? "silu" == "silu", file.useQuantConv ?? true, file.usePostQuantConv ?? true,
            file.midBlockAddAttention ?? true
        else { throw ModelError.config(file: url.path, problem: "this kind of autoencoder is not read here") }
        self.init(
            inChannels: file.inChannels ?? 3, outChannels: file.outChannels ?? 3,
            latentChannels: file.latentChannels ?? 4, blockChannels: channels, layersPerBlock: file.layersPerBlock ?? 1,
            groups: file.normNumGroups ?? 32, scalingFactor: file.scalingFactor ?? Self.usualScalingFactor)
        try check(url.path)
    }

    /// Refuses dimensions that no model has, before anything is computed with them.
    func check(_ file: String) throws {
        let sizes = blockChannels + [inChannels, outChannels, latentChannels, layersPerBlock, groups]
        guard sizes.allSatisfy({ $0 > 0 && $0 <= 1 << 16 }), blockChannels.count <= 8, !blockChannels.isEmpty,
            blockChannels.allSatisfy({ $0.isMultiple(of: groups) })
        else {
            throw ModelError.config(
                file: file, problem: "these do not go together: channels \(blockChannels), \(groups) groups")
        }
    }
}

/// Attention of all pixels over each other, with one head.
final class AutoencoderAttention: Module {
    let groupNorm: GroupNorm
    let toQ, toK, toV: Linear
    let toOut: [Linear]

    init(_ channels: Int, groups: Int) {
        groupNorm = GroupNorm(channels, groups: groups, epsilon: 1e-6)
        toQ = Linear(channels, channels, bias: true)
        toK = Linear(channels, channels, bias: true)
        toV = Linear(channels, channels, bias: true)
        toOut = [Linear(channels, channels, bias: true)]
    }

    /// (B, C, H, W) → the same.
    func callAsFunction(_ x: Tensor) throws -> Tensor {
        let (B, C, H, W) = (x.shape[0], x.shape[1], x.shape[2], x.shape[3])
        let tokens = try groupNorm(x).view(B, C, H * W).transpose(1, 2)
        let parts = try joined([toQ, toK, toV], tokens).view(B, 1, H * W, 3 * C).split([C, C, C], dim: -1)
        let y = try pictureAttention(parts[0], parts[1], parts[2])
        return try toOut[0](y.view(B, H * W, C)).transpose(1, 2).reshape(B, C, H, W) + x
    }
}

final class AutoencoderMidBlock: Module {
    let resnets: [ResnetBlock2D]
    let attentions: [AutoencoderAttention]

    init(_ channels: Int, groups: Int) {
        resnets = (0..<2).map { _ in ResnetBlock2D(channels, channels, timeSize: nil, groups: groups, epsilon: 1e-6) }
        attentions = [AutoencoderAttention(channels, groups: groups)]
    }

    func callAsFunction(_ x: Tensor) throws -> Tensor { try resnets[1](attentions[0](resnets[0](x))) }
}

/// One level, on the way to the latents or back.
final class AutoencoderBlock: Module {
    let resnets: [ResnetBlock2D]
    let downsamplers: [Downsample2D]
    let upsamplers: [Upsample2D]

    enum Direction { case down, up, level }

    init(_ inputs: Int, _ outputs: Int, layers: Int, groups: Int, _ direction: Direction) {
        resnets = (0..<layers).map {
            ResnetBlock2D($0 == 0 ? inputs : outputs, outputs, timeSize: nil, groups: groups, epsilon: 1e-6)
        }
        downsamplers = direction == .down ? [Downsample2D(outputs, padsAtEnd: true)] : []
        upsamplers = direction == .up ? [Upsample2D(outputs)] : []
    }

    func callAsFunction(_ x: Tensor) throws -> Tensor {
        var x = try resnets.reduce(x) { try $1($0) }
        for downsampler in downsamplers { x = try downsampler(x) }
        for upsampler in upsamplers { x = try upsampler(x) }
        return x
    }
}

final class AutoencoderEncoder: Module {
    let convIn: Conv2d
    let downBlocks: [AutoencoderBlock]
    let midBlock: AutoencoderMidBlock
    let convNormOut: GroupNorm
    let convOut: Conv2d

    init(_ config: AutoencoderConfig) {
        let channels = config.blockChannels, last = channels[channels.count - 1]
        convIn = Conv2d(config.inChannels, channels[0], kernel: 3, padding: 1)
        downBlocks = channels.indices.map { level in
            AutoencoderBlock(
                channels[max(0, level - 1)], channels[level], layers: config.layersPerBlock, groups: config.groups,
                level + 1 < channels.count ? .down : .level)
        }
        midBlock = AutoencoderMidBlock(last, groups: config.groups)
        convNormOut = GroupNorm(last, groups: config.groups, epsilon: 1e-6)
        convOut = Conv2d(last, 2 * config.latentChannels, kernel: 3, padding: 1)
    }

    func callAsFunction(_ x: Tensor) throws -> Tensor {
        let x = try midBlock(downBlocks.reduce(convIn(x)) { try $1($0) })
        return try convOut(convNormOut.silu(x))
    }
}

final class AutoencoderDecoder: Module {
    let convIn: Conv2d
    let midBlock: AutoencoderMidBlock
    let upBlocks: [AutoencoderBlock]
    let convNormOut: GroupNorm
    let convOut: Conv2d

    init(_ config: AutoencoderConfig) {
        let channels = Array(config.blockChannels.reversed())
        convIn = Conv2d(config.latentChannels, channels[0], kernel: 3, padding: 1)
        midBlock = AutoencoderMidBlock(channels[0], groups: config.groups)
        upBlocks = channels.indices.map { level in
            AutoencoderBlock(
                channels[max(0, level - 1)], channels[level], layers: config.layersPerBlock + 1, groups: config.groups,
                level + 1 < channels.count ? .up : .level)
        }
        convNormOut = GroupNorm(channels[channels.count - 1], groups: config.groups, epsilon: 1e-6)
        convOut = Conv2d(channels[channels.count - 1], config.outChannels, kernel: 3, padding: 1)
    }

    func callAsFunction(_ z: Tensor) throws -> Tensor {
        let x = try upBlocks.reduce(midBlock(convIn(z))) { try $1($0) }
        return try convOut(convNormOut.silu(x))
    }
}

/// Pictures to latents and back (Kingma and Welling, arXiv:1312.6114).
public final class AutoencoderKL: Module {
    let encoder: AutoencoderEncoder
    let decoder: AutoencoderDecoder
    let quantConv, postQuantConv: Conv2d
    public let config: AutoencoderConfig

    public init(_ config: AutoencoderConfig) {
        self.config = config
        encoder = AutoencoderEncoder(config)
        decoder = AutoencoderDecoder(config)
        quantConv = Conv2d(2 * config.latentChannels, 2 * config.latentChannels, kernel: 1)
        postQuantConv = Conv2d(config.latentChannels, config.latentChannels, kernel: 1)
    }

    /// Mean and standard deviation of the latents of pictures (B, 3, H, W) within ±1: each (B, C, H/8, W/8), not
    /// scaled.
    public func encode(_ pictures: Tensor) throws -> (mean: Tensor, deviation: Tensor) {
        let C = config.latentChannels
        let moments = try quantConv(encoder(pictures)).split([C, C], dim: 1)
        // The reference's bounds of the variance's logarithm.
        return (moments[0], try (moments[1].clamped(-30, 20) * 0.5).exp())
    }

    /// Pictures (B, 3, H, W), about within ±1, of latents that are not scaled.
    public func decode(_ latents: Tensor) throws -> Tensor { try decoder(postQuantConv(latents)) }
}
