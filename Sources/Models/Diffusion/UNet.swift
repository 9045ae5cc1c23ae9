// The network that predicts the noise in a latent picture.
// Port of https://github.com/huggingface/diffusers/blob/main/src/diffusers/models/unets/unet_2d_condition.py
// (with unet_2d_blocks.py beside it and ../embeddings.py).
//
// B pictures, C channels, H height, W width, S tokens of text, E size of the time embedding.

import Foundation
import NN
import Torch

/// What every block is given beside the picture.
struct UNetConditions {
    /// (B, E), after its activation. Layers that are computed twice ask anew, so that what is adapted in it has its
    /// gradients from each.
    let time: () throws -> Tensor
    /// (B, S, context)
    let context: Tensor
    /// Whether layers are computed once more on the way back instead of keeping what it needs.
    let recomputes: Bool

    /// A residual block and, where there is one, the transformer after it.
    func layer(_ x: Tensor, _ resnet: ResnetBlock2D, _ attention: Transformer2DModel?) throws -> Tensor {
        let run = { (x: Tensor) in
            let y = try resnet(x, time: time())
            return try attention?(y, context: context) ?? y
        }
        return recomputes ? try checkpoint(x, run) : try run(x)
    }
}

/// One level on the way down.
final class UNetDownBlock: Module {
    let resnets: [ResnetBlock2D]
    let attentions: [Transformer2DModel]
    let downsamplers: [Downsample2D]

    init(_ config: UNetConfig, level: Int) {
        let channels = config.blockChannels[level], inputs = config.blockChannels[max(0, level - 1)]
        resnets = (0..<config.layersPerBlock).map { config.resnet($0 == 0 ? inputs : channels, channels) }
        attentions =
            config.attends[level] ? (0..<config.layersPerBlock).map { _ in config.transformer(level: level) } : []
        downsamplers = level + 1 < config.blockChannels.count ? [Downsample2D(channels)] : []
    }

    /// Every state that the way up needs, in order; the last is the block's output.
    func callAsFunction(_ x: Tensor, _ given: UNetConditions) throws -> [Tensor] {
        var states: [Tensor] = []
        var x = x
        for (index, resnet) in resnets.enumerated() {
            x = try given.layer(x, resnet, attentions.isEmpty ? nil : attentions[index])
            states.append(x)
        }
        for downsampler in downsamplers { states.append(try downsampler(states.last ?? x)) }
        return states
    }
}

/// The lowest level.
final class UNetMidBlock: Module {
    let resnets: [ResnetBlock2D]
    let attentions: [Transformer2DModel]

    init(_ config: UNetConfig) {
        let level = config.blockChannels.count - 1, channels = config.blockChannels[level]
        resnets = [config.resnet(channels, channels), config.resnet(channels, channels)]
        attentions = [config.transformer(level: level)]
    }

    func callAsFunction(_ x: Tensor, _ given: UNetConditions) throws -> Tensor {
        try given.layer(given.layer(x, resnets[0], attentions[0]), resnets[1], nil)
    }
}

/// One level on the way up.
final class UNetUpBlock: Module {
    let resnets: [ResnetBlock2D]
    let attentions: [Transformer2DModel]
    let upsamplers: [Upsample2D]

    init(_ config: UNetConfig, level: Int) {
        let all = config.blockChannels, channels = all[level]
        let (below, finer) = (all[min(level + 1, all.count - 1)], all[max(level - 1, 0)])
        resnets = (0...config.layersPerBlock).map { layer in
            let skipped = layer == config.layersPerBlock ? finer : channels
            return config.resnet((layer == 0 ? below : channels) + skipped, channels)
        }
        attentions =
            config.attends[level] ? (0...config.layersPerBlock).map { _ in config.transformer(level: level) } : []
        upsamplers = level > 0 ? [Upsample2D(channels)] : []
    }

    /// Takes its states off the end of `skipped`.
    func callAsFunction(_ x: Tensor, skipped: inout [Tensor], _ given: UNetConditions) throws -> Tensor {
        var x = x
        for (index, resnet) in resnets.enumerated() {
            let both = try concatenated([x, skipped.removeLast()], dim: 1)
            x = try given.layer(both, resnet, attentions.isEmpty ? nil : attentions[index])
        }
        // Heights and widths that are odd on the way down come back as they were.
        let size = skipped.last.map { (height: $0.shape[2], width: $0.shape[3]) }
        for upsampler in upsamplers { x = try upsampler(x, to: size) }
        return x
    }
}

final class TimestepEmbedding: Module {
    let linear1, linear2: Linear

    init(_ inputs: Int, _ outputs: Int) {
        linear1 = Linear(inputs, outputs, bias: true)
        linear2 = Linear(outputs, outputs, bias: true)
    }

    override class var keys: [String: String] { ["linear1": "linear_1", "linear2": "linear_2"] }

    func callAsFunction(_ x: Tensor) throws -> Tensor { try linear2(linear1(x).silu()) }
}

extension UNetConfig {
    fileprivate var timeSize: Int { 4 * blockChannels[0] }

    fileprivate func resnet(_ inputs: Int, _ outputs: Int) -> ResnetBlock2D {
        ResnetBlock2D(inputs, outputs, timeSize: timeSize, groups: groups, epsilon: normEpsilon)
    }

    fileprivate func transformer(level: Int) -> Transformer2DModel {
        Transformer2DModel(
            blockChannels[level], contextSize: contextSize, heads: heads[level], layers: transformerLayers[level],
            groups: groups, usesLinear: usesLinearProjection)
    }
}

/// Predicts the noise (or velocity) in latents at a time step, told of a text.
public final class UNet2DConditionModel: Module {
    let convIn: Conv2d
    let timeEmbedding: TimestepEmbedding
    let downBlocks: [UNetDownBlock]
    let midBlock: UNetMidBlock
    let upBlocks: [UNetUpBlock]
    let convNormOut: GroupNorm
    let convOut: Conv2d
    public let config: UNetConfig
    public let placement: Placement
    /// Computes layers twice when training, to keep less memory.
    public var checkpointsGradients = false

    public init(_ config: UNetConfig, on placement: Placement) {
        (self.config, self.placement) = (config, placement)
        let levels = config.blockChannels.indices, first = config.blockChannels[0]
        convIn = Conv2d(config.inChannels, first, kernel: 3, padding: 1)
        timeEmbedding = TimestepEmbedding(first, config.timeSize)
        downBlocks = levels.map { UNetDownBlock(config, level: $0) }
        midBlock = UNetMidBlock(config)
        upBlocks = levels.reversed().map { UNetUpBlock(config, level: $0) }
        convNormOut = GroupNorm(first, groups: config.groups, epsilon: config.normEpsilon)
        convOut = Conv2d(first, config.outChannels, kernel: 3, padding: 1)
    }

    /// - Parameters:
    ///   - x: noisy latents (B, C, H, W).
    ///   - timesteps: one for each picture, 0 to 999; samplers may ask for times between.
    ///   - context: the text's states (B, S, context).
    public func callAsFunction(_ x: Tensor, timesteps: [Double], context: Tensor) throws -> Tensor {
        guard x.shape.count == 4, context.shape.count == 3,
            [timesteps.count, context.shape[0]].allSatisfy({ $0 == x.shape[0] })
        else {
            throw TorchError.failed(
                "latents \(x.shape), \(timesteps.count) timesteps and text \(context.shape) do not go together")
        }
        let waves = try sinusoids(timesteps)
        let embed = { [timeEmbedding] in try timeEmbedding(waves).silu() }
        let time = try embed()
        let given = UNetConditions(
            time: checkpointsGradients ? embed : { time }, context: context, recomputes: checkpointsGradients)
        var skipped = [try convIn(x)]
        // What is computed twice gives gradients only where its input asks for them.
        if given.recomputes { try skipped[0].requiresGrad(true) }
        for block in downBlocks { skipped += try block(skipped[skipped.count - 1], given) }
        var x = try midBlock(skipped[skipped.count - 1], given)
        for block in upBlocks { x = try block(x, skipped: &skipped, given) }
        return try convOut(convNormOut.silu(x))
    }

    /// Cosines, then sines, of each time at frequencies from 1 down to 1/10000: (B, channels).
    private func sinusoids(_ timesteps: [Double]) throws -> Tensor {
        let half = config.blockChannels[0] / 2
        // Rounded to fp32 where the reference rounds.
        let frequencies = (0..<half).map { index in
            Float(Foundation.exp(Double(Float(-log(10000.0)) * Float(index) / Float(half))))
        }
        let values = timesteps.flatMap { time in
            let angles = frequencies.map { Double(Float(time) * $0) }
            return angles.map { Float(Foundation.cos($0)) } + angles.map { Float(Foundation.sin($0)) }
        }
        return try Tensor(values, [timesteps.count, 2 * half]).to(placement.dtype).to(placement.device)
    }
}
