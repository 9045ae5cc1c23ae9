// The convolutional blocks that UNet and autoencoder share.
// Port of https://github.com/huggingface/diffusers/blob/main/src/diffusers/models/resnet.py
// (with downsampling.py and upsampling.py beside it).
//
// B pictures, C channels, H height, W width, E size of the time embedding.

import NN
import Torch

/// Two convolutions around which the input is passed by; between them the time step is mixed in.
final class ResnetBlock2D: Module {
    let norm1: GroupNorm
    let conv1: Conv2d
    let timeEmbProj: Linear?
    let norm2: GroupNorm
    let conv2: Conv2d
    let convShortcut: Conv2d?

    init(_ inputs: Int, _ outputs: Int, timeSize: Int?, groups: Int, epsilon: Double) {
        norm1 = GroupNorm(inputs, groups: groups, epsilon: epsilon)
        conv1 = Conv2d(inputs, outputs, kernel: 3, padding: 1)
        timeEmbProj = timeSize.map { Linear($0, outputs, bias: true) }
        norm2 = GroupNorm(outputs, groups: groups, epsilon: epsilon)
        conv2 = Conv2d(outputs, outputs, kernel: 3, padding: 1)
        convShortcut = inputs == outputs ? nil : Conv2d(inputs, outputs, kernel: 1)
    }

    /// `x` (B, inputs, H, W) and the time embedding after its activation (B, E) → (B, outputs, H, W).
    func callAsFunction(_ x: Tensor, time: Tensor? = nil) throws -> Tensor {
        var h = try conv1(norm1.silu(x))
        if let timeEmbProj, let time { h = try h + timeEmbProj(time).view(-1, h.shape[1], 1, 1) }
        h = try conv2(norm2.silu(h))
        return try (convShortcut?(x) ?? x) + h
    }
}

/// Half the height and width.
final class Downsample2D: Module {
    let conv: Conv2d
    private let padsAtEnd: Bool

    /// - Parameter padsAtEnd: zeros below and to the right only, as the autoencoder has it.
    init(_ channels: Int, padsAtEnd: Bool = false) {
        conv = Conv2d(channels, channels, kernel: 3, stride: 2, padding: padsAtEnd ? 0 : 1)
        self.padsAtEnd = padsAtEnd
    }

    func callAsFunction(_ x: Tensor) throws -> Tensor {
        try conv(padsAtEnd ? x.paddedAtEnd(columns: 1, rows: 1) : x)
    }
}

/// Twice the height and width, or those that are given.
final class Upsample2D: Module {
    let conv: Conv2d

    init(_ channels: Int) { conv = Conv2d(channels, channels, kernel: 3, padding: 1) }

    func callAsFunction(_ x: Tensor, to size: (height: Int, width: Int)? = nil) throws -> Tensor {
        let size = size ?? (2 * x.shape[2], 2 * x.shape[3])
        return try conv(x.upsampledNearest(size.height, size.width))
    }
}
