// The sizes that pictures of different shapes are brought to, so that those of one size can share a batch.
// The rules of https://github.com/kohya-ss/sd-scripts/blob/main/library/model_util.py (make_bucket_resolutions) and
// https://github.com/kohya-ss/sd-scripts/blob/main/library/train_util.py (BucketManager.select_bucket)

/// A width and a height in pixels.
public struct PictureSize: Sendable, Hashable, Codable, Comparable, CustomStringConvertible {
    /// Pixels in each direction.
    public let width, height: Int

    /// Makes a size.
    public init(_ width: Int, _ height: Int) { (self.width, self.height) = (width, height) }

    /// Width divided by height.
    public var aspect: Double { Double(width) / Double(height) }

    public var description: String { "\(width) × \(height)" }

    /// Narrow ones first.
    public static func < (a: PictureSize, b: PictureSize) -> Bool { (a.width, a.height) < (b.width, b.height) }
}

/// How a picture is brought to the size of its bucket: resized to `resized`, then `bucket` is cut from its middle.
public struct PictureFit: Sendable, Equatable {
    /// The whole picture after it was resized.
    public let resized: PictureSize
    /// What is left of it.
    public let bucket: PictureSize

    /// The upper left corner of what is left.
    public var corner: (x: Int, y: Int) {
        ((resized.width - bucket.width) / 2, (resized.height - bucket.height) / 2)
    }
}

/// The sizes that pictures are brought to.
public struct PictureBuckets: Sendable, Equatable {
    /// The side of the square whose area no bucket exceeds, in pixels.
    public var resolution: Int
    /// Whether there are buckets beside the square.
    public var isUsed: Bool
    /// Sides are multiples of this; 64, or 8 for resolutions below 256, when nil.
    public var step: Int?
    /// The shortest and the longest side; half and double the resolution when nil.
    public var minimum, maximum: Int?
    /// Whether pictures smaller than the square keep their size, cut to multiples of `step`, instead of being enlarged.
    public var avoidsEnlarging = false

    /// Makes buckets with every other value at its default.
    public init(resolution: Int, isUsed: Bool = true) { (self.resolution, self.isUsed) = (resolution, isUsed) }

    var stepOrDefault: Int { step ?? (resolution < 256 ? 8 : 64) }

    /// The sizes in ascending order; one alone when buckets are not used.
    public var sizes: [PictureSize] {
        guard isUsed else { return [PictureSize(resolution, resolution)] }
        let (step, area) = (stepOrDefault, resolution * resolution)
        let square = resolution / step * step
        let longest = maximum ?? 2 * resolution / step * step
        let shortest = minimum ?? max(step, resolution / 2 / step * step)
        var sizes: Set = [PictureSize(square, square)]
        for width in stride(from: shortest, through: longest, by: step) {
            let height = min(longest, area / width / step * step)
            guard height >= shortest else { continue }
            sizes.formUnion([PictureSize(width, height), PictureSize(height, width)])
        }
        return sizes.sorted()
    }

    /// How a picture of `size` is brought to its bucket.
    public func fit(_ size: PictureSize) -> PictureFit { fit(size, in: sizes) }

    /// The same, with `sizes` found before.
    func fit(_ size: PictureSize, in sizes: [PictureSize]) -> PictureFit {
        if isUsed, avoidsEnlarging, let fit = fitWithoutEnlarging(size) { return fit }
        var bucket = sizes.first { $0 == size } ?? sizes[0]
        if bucket != size {
            for other in sizes.dropFirst() where abs(other.aspect - size.aspect) < abs(bucket.aspect - size.aspect) {
                bucket = other
            }
        }
        let scale =
            size.aspect > bucket.aspect
            ? Double(bucket.height) / Double(size.height) : Double(bucket.width) / Double(size.width)
        let resized = PictureSize(rounded(Double(size.width) * scale), rounded(Double(size.height) * scale))
        return PictureFit(resized: resized, bucket: bucket)
    }

    /// None for a picture that is smaller than the smallest bucket there can be.
    private func fitWithoutEnlarging(_ size: PictureSize) -> PictureFit? {
        let resized = size.width * size.height > resolution * resolution ? reduced(size) : size
        let step = stepOrDefault
        let bucket = PictureSize(resized.width / step * step, resized.height / step * step)
        return bucket.width > 0 && bucket.height > 0 ? PictureFit(resized: resized, bucket: bucket) : nil
    }

    /// A size of about the square's area with one side a multiple of the step: the side that changes the shape less.
    private func reduced(_ size: PictureSize) -> PictureSize {
        let (step, aspect) = (stepOrDefault, size.aspect)
        func down(_ x: Double) -> Int { rounded(x) / step * step }
        let exactWidth = (Double(resolution * resolution) * aspect).squareRoot()
        let width = down(exactWidth)
        let height = down(Double(resolution * resolution) / exactWidth)
        let byWidth = Double(width) / Double(max(1, down(Double(width) / aspect)))
        let byHeight = Double(down(Double(height) * aspect)) / Double(max(1, height))
        return abs(byWidth - aspect) < abs(byHeight - aspect)
            ? PictureSize(width, rounded(Double(width) / aspect))
            : PictureSize(rounded(Double(height) * aspect), height)
    }

    private func rounded(_ x: Double) -> Int { Int(x + 0.5) }

    /// Refuses sizes that no picture can have.
    func check() throws {
        let step = stepOrDefault
        func fail(_ name: String, _ expected: String, _ got: Int) -> DatasetError {
            .option(name, problem: "expected \(expected), got \(got)")
        }
        guard (8...8192).contains(resolution), resolution % 8 == 0 else {
            throw fail("resolution", "a multiple of 8 up to 8192 pixels", resolution)
        }
        guard step >= 8, step % 8 == 0, step <= resolution else {
            throw fail("bucket_step", "a multiple of 8 up to the resolution, \(resolution)", step)
        }
        if let minimum, minimum % step != 0 || !(step...resolution).contains(minimum) {
            throw fail("bucket_min", "a multiple of \(step) up to the resolution, \(resolution)", minimum)
        }
        if let maximum, maximum % step != 0 || !(resolution...8192).contains(maximum) {
            throw fail("bucket_max", "a multiple of \(step) from the resolution, \(resolution), to 8192", maximum)
        }
    }
}
