// What there is to say about a folder of pictures in numbers.

/// How many pictures a bucket has.
public struct BucketCount: Sendable, Equatable {
    /// The bucket's size in pixels.
    public let size: PictureSize
    /// Pictures, and their uses in an epoch.
    public let pictures, uses: Int
}

/// How many pictures a folder has, and how often each tag stands in their captions.
public struct PictureFolderCount: Sendable, Equatable {
    /// The folder's own name.
    public let name: String
    /// How often each picture is used in an epoch.
    public let repeats: Int
    /// Pictures in it.
    public let pictures: Int
    /// Whether they are regularisation pictures.
    public let isRegularisation: Bool
    /// Captions in which each part between commas stands, in small letters.
    public let tags: [String: Int]
}

/// A folder of pictures in numbers, before any is held back for validation.
public struct PictureDataSummary: Sendable {
    /// Pictures to be taught, regularisation pictures, and those of both that have masks of their own.
    public let pictures, regularisation, masked: Int
    /// Uses of an epoch, before regularisation pictures are balanced.
    public let uses: Int
    /// How many captions each origin gave.
    public let origins: [CaptionOrigin: Int]
    /// The buckets that have pictures, in ascending order.
    public let buckets: [BucketCount]
    /// The mean difference between the aspects (width / height) of pictures and of their buckets.
    public let meanAspectError: Double
    /// The folders that hold pictures, in order.
    public let folders: [PictureFolderCount]
    /// Characters of the shortest, the middle and the longest caption.
    public let shortest, median, longest: Int
    /// Up to five pictures, spread over all, with their captions.
    public let examples: [(name: String, caption: String)]
    /// Pictures that were left out because they cannot be read.
    public let broken: [BrokenPicture]
    /// What to tell the user, a line each.
    public let warnings: [String]

    init(_ check: PictureCheck, warnings: [String]) {
        let samples = check.samples
        pictures = samples.count { !$0.isRegularisation }
        regularisation = samples.count - pictures
        masked = check.sound.count { $0.found.mask != nil }
        uses = samples.reduce(0) { $0 + $1.repeats }
        origins = check.sound.reduce(into: [:]) { $0[$1.found.origin, default: 0] += 1 }
        buckets = Dictionary(grouping: samples, by: \.fit.bucket).map { size, samples in
            BucketCount(size: size, pictures: samples.count, uses: samples.reduce(0) { $0 + $1.repeats })
        }.sorted { $0.size < $1.size }
        meanAspectError =
            samples.reduce(0) { $0 + abs($1.fit.bucket.aspect - $1.size.aspect) } / Double(max(1, samples.count))
        folders = Self.folders(samples)
        let lengths = samples.map(\.caption.count).sorted()
        (shortest, median, longest) = (lengths.first ?? 0, lengths[lengths.count / 2], lengths.last ?? 0)
        let count = min(5, samples.count)
        examples = (0..<count).map { samples[$0 * samples.count / count] }.map { ($0.name, $0.caption) }
        broken = check.broken
        self.warnings = check.warnings + warnings
    }

    private static func folders(_ samples: [PictureSample]) -> [PictureFolderCount] {
        let places = Dictionary(grouping: samples) { $0.url.deletingLastPathComponent().path }
        return places.sorted { $0.key < $1.key }.compactMap { _, samples in
            guard let first = samples.first else { return nil }
            let tags = samples.flatMap { CaptionRule.tags($0.caption) }
            return PictureFolderCount(
                name: first.folder, repeats: first.repeats, pictures: samples.count,
                isRegularisation: first.isRegularisation,
                tags: tags.reduce(into: [:]) { $0[$1.lowercased(), default: 0] += 1 })
        }
    }

    /// The summary in one line.
    public var line: String {
        let captions = CaptionOrigin.allCases.compactMap { origin in
            origins[origin].map { "\($0) \(origin == .none ? "missing" : "from \(origin.rawValue)")" }
        }
        let sizes = buckets.prefix(6).map { "\($0.size): \($0.pictures)" } + (buckets.count > 6 ? ["…"] : [])
        return counted(pictures, "picture")
            + (regularisation == 0 ? "" : " and \(regularisation) for regularisation")
            + ", \(counted(uses, "use")) an epoch; captions: \(captions.joined(separator: ", "))"
            + "; \(counted(buckets.count, "bucket")) (\(sizes.joined(separator: ", ")))"
    }
}
