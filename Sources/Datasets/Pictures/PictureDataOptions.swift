// How a folder of pictures becomes samples.

import Foundation

/// How a folder of pictures becomes samples.
public struct PictureDataOptions: Sendable, Equatable {
    /// The sizes that pictures are brought to.
    public var buckets: PictureBuckets
    /// How captions vary from use to use.
    public var captions = CaptionRule()
    /// Pictures of the same class without what is taught (Ruiz et al., arXiv:2208.12242), captioned like the others.
    public var regularisation: URL?
    /// What the loss of a regularisation picture counts.
    public var regularisationWeight = 1.0
    /// Masks under the names of the pictures, or with another extension; beside them, `<stem>.mask.png` needs no option.
    public var maskFolder: URL?
    /// Whether a picture's transparency is its mask where it has no other.
    public var usesAlphaAsMask = false
    /// Whether pictures that cannot be read are left out instead of an error.
    public var skipsBroken = false
    /// Whether every picture is decoded when the data is read; without it, headers alone are.
    public var decodesAll = true

    /// Makes options with every other value at its default; `resolution` is the side of a square, in pixels.
    public init(resolution: Int, usesBuckets: Bool = true) {
        buckets = PictureBuckets(resolution: resolution, isUsed: usesBuckets)
    }
}
