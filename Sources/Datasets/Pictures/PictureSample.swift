// One picture of the training data: where it lies, what is said of it, how it is cut, and its pixels when asked.

import Formats
import Foundation

/// Which parts of a picture the loss looks at.
public enum PictureMask: Sendable, Equatable {
    /// A picture of the same size, white where the loss looks.
    case file(URL)
    /// The picture's own transparency.
    case alpha
}

/// One picture of the training data.
public struct PictureSample: Sendable, Equatable {
    /// The file.
    public let url: URL
    /// Its path in the folder that was given.
    public let name: String
    /// The caption, its trigger word included; empty where there is none.
    public let caption: String
    /// How often it is used in an epoch.
    public internal(set) var repeats: Int
    /// Whether it shows the class only, not what is taught.
    public let isRegularisation: Bool
    /// What its loss counts.
    public let lossWeight: Double
    /// Which parts of it the loss looks at; all when nil.
    public let mask: PictureMask?
    /// Its size, upright, in pixels.
    public let size: PictureSize
    /// How it is brought to its bucket.
    public let fit: PictureFit
    /// The SHA-256 of the file.
    public let contentHash: String

    let ownCaption: String
    let rule: CaptionRule

    /// The caption of one use, shuffled and dropped as the options ask: a function of seed, name and `draw` alone.
    public func caption(draw: Int) -> String {
        rule.caption(ownCaption, name: name, isRegularisation: isRegularisation, draw: draw)
    }

    /// The name of the folder in which it lies.
    public var folder: String { url.deletingLastPathComponent().lastPathComponent }

    /// The picture as a model takes it.
    public func prepared(flipped: Bool = false) throws -> PreparedPicture {
        let picture = try read(url)
        let shown = fitted(picture.onWhite, flipped)
        let mask: Picture? =
            switch mask {
            case .file(let url): try read(url)
            case .alpha: picture.opacity
            case nil: nil
            }
        return PreparedPicture(shown, mask: mask.map { fitted($0, flipped) })
    }

    private func read(_ url: URL) throws -> Picture {
        let picture = try Picture(contentsOf: url)
        let found = PictureSize(picture.width, picture.height)
        guard found == size else {
            throw DatasetError.file(
                url.path, problem: "expected \(size) pixels as when the data was read, got \(found); start again")
        }
        return picture
    }

    private func fitted(_ picture: Picture, _ flipped: Bool) -> Picture {
        let part = picture.resized(to: fit.resized.width, fit.resized.height)
            .cropped(x: fit.corner.x, y: fit.corner.y, fit.bucket.width, fit.bucket.height)
        return flipped ? part.mirrored : part
    }
}

/// A picture as a model takes it.
public struct PreparedPicture: Sendable, Equatable {
    /// Width and height of `pixels`.
    public let size: PictureSize
    /// (3, height, width): red, green and blue, from -1 to 1.
    public let pixels: [Float]
    /// (height / 8, width / 8): what the loss of each latent counts, from 0 to 1; nil for 1 everywhere.
    public let mask: [Float]?

    init(_ picture: Picture, mask: Picture?) {
        size = PictureSize(picture.width, picture.height)
        let area = picture.width * picture.height
        var pixels = [Float](repeating: 0, count: 3 * area)
        for band in 0..<3 {
            for place in 0..<area { pixels[band * area + place] = Float(picture.pixels[3 * place + band]) / 127.5 - 1 }
        }
        self.pixels = pixels
        self.mask = mask.map(Self.latentMask)
    }

    /// The mean of each 8 × 8 pixels, which become one latent.
    private static func latentMask(_ mask: Picture) -> [Float] {
        let (rows, columns) = (mask.height / 8, mask.width / 8)
        var sums = [Int](repeating: 0, count: rows * columns)
        for y in 0..<8 * rows {
            for x in 0..<8 * columns { sums[y / 8 * columns + x / 8] += Int(mask.pixels[3 * (y * mask.width + x)]) }
        }
        return sums.map { Float($0) / (64 * 255) }
    }
}
