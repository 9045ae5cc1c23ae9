// A folder of pictures with captions as samples for training: found, checked, and fitted into buckets.

import Formats
import Foundation

/// A folder of pictures with captions as samples for training.
public struct PictureDataset: Sendable {
    /// All samples in ascending order of their names, regularisation pictures last; at least one is none of those.
    public let samples: [PictureSample]
    /// The same in numbers, with warnings.
    public let summary: PictureDataSummary
    /// The files that were read, in a fixed order: pictures, masks, captions.
    public let files: [URL]

    /// Reads a folder; `metadata` lists captions, in place of a `metadata.csv` or `.jsonl` in the folder.
    public init(path: URL, metadata: URL? = nil, options: PictureDataOptions) throws {
        try options.buckets.check()
        try options.captions.check()
        guard options.regularisationWeight >= 0, options.regularisationWeight.isFinite else {
            throw DatasetError.option(
                "prior_loss_weight", problem: "expected 0 or more, got \(options.regularisationWeight)")
        }
        try Picture.requireLibrary()
        var sources = [try PictureSource(path, metadata, options, isRegularisation: false)]
        if let folder = options.regularisation {
            sources.append(try PictureSource(folder, nil, options, isRegularisation: true))
        }
        let check = try PictureCheck(sources.flatMap(\.pictures), options)
        if !options.skipsBroken, !check.broken.isEmpty {
            throw DatasetError.broken(path.path, pictures: check.broken)
        }
        samples = check.samples
        guard samples.contains(where: { !$0.isRegularisation }) else {
            throw DatasetError.broken(path.path, pictures: check.broken)
        }
        summary = PictureDataSummary(check, warnings: sources.flatMap(\.warnings))
        files = samples.map(\.url) + sources.flatMap(\.masks) + sources.flatMap(\.captionFiles)
    }

    /// Holds back `share` of the pictures, as `ValidationSplit` does, and balances the regularisation pictures.
    ///
    /// These are repeated, one after the other, until they are used as often in an epoch as the others; those that are
    /// too many are left out, as in kohya's scripts.
    public func divided(
        share: Double = 0, seed: UInt64? = nil
    ) throws -> (training: [PictureSample], validation: [PictureSample]) {
        let own = samples.filter { !$0.isRegularisation }
        let split = try ValidationSplit(count: own.count, share: share, seed: seed)
        let training = split.training.map { own[$0] }
        let uses = training.reduce(0) { $0 + $1.repeats }
        let balanced = Self.balanced(samples.filter(\.isRegularisation), uses: uses)
        return (training + balanced, split.validation.map { own[$0] })
    }

    private static func balanced(_ samples: [PictureSample], uses: Int) -> [PictureSample] {
        var (balanced, missing) = ([PictureSample](), uses)
        for sample in samples where missing > 0 {
            balanced.append(sample)
            missing -= sample.repeats
        }
        guard missing > 0, !balanced.isEmpty else { return balanced }
        for index in balanced.indices {
            balanced[index].repeats += missing / balanced.count + (index < missing % balanced.count ? 1 : 0)
        }
        return balanced
    }
}

/// A picture that was found, before it is looked at.
struct FoundPicture: Sendable {
    let url: URL
    let name: String
    let caption: String
    let origin: CaptionOrigin
    let repeats: Int
    let isRegularisation: Bool
    let mask: URL?
}

/// The pictures of one folder with their captions and masks.
struct PictureSource {
    private(set) var pictures: [FoundPicture] = []
    private(set) var masks: [URL] = []
    let captionFiles: [URL]
    private(set) var warnings: [String]

    init(_ path: URL, _ metadata: URL?, _ options: PictureDataOptions, isRegularisation: Bool) throws {
        let excluded = [options.maskFolder, metadata] + (isRegularisation ? [] : [options.regularisation])
        let folder = try PictureFolder(path, without: excluded.compactMap { $0 })
        let captions = try PictureCaptions(folder, metadata: metadata)
        (captionFiles, warnings) = (captions.files, captions.warnings)
        // Names are unique over both folders, so that a caption's variation is a picture's own.
        let prefix = isRegularisation ? path.lastPathComponent + "/" : ""
        let finder = try MaskFinder(folder, isRegularisation ? nil : options.maskFolder)
        for name in folder.pictures {
            let caption = captions[name]
            pictures.append(
                FoundPicture(
                    url: folder.url(name), name: prefix + name, caption: caption.text, origin: caption.origin,
                    repeats: try PictureFolder.repeats(name)?.count ?? 1, isRegularisation: isRegularisation,
                    mask: finder.mask(name)))
        }
        try checkCaptions(path, options.captions, isRegularisation)
        masks = pictures.compactMap(\.mask)
        warnings += finder.warnings(masked: masks.count)
        if let first = folder.others.first {
            warnings.append(
                "ignored \(counted(folder.others.count, "file")) neither picture nor caption (first: \(prefix)\(first))"
            )
        }
    }

    private mutating func checkCaptions(_ path: URL, _ rule: CaptionRule, _ isRegularisation: Bool) throws {
        let bare = pictures.filter { $0.origin == .none }
        guard let first = bare.first else { return }
        let trigger = isRegularisation ? nil : rule.triggerWord
        if bare.count == pictures.count, trigger?.isBlank ?? true {
            throw DatasetError.empty(
                path.path,
                problem: "none of the \(counted(pictures.count, "picture")) has a caption; write metadata.csv "
                    + "(file_name,text), or a .txt file beside each picture, or name the folder below this one 10_<name>"
            )
        }
        warnings.append(
            "\(counted(bare.count, "picture")) without a caption"
                + (trigger.map { ", trained as '\($0.excerpt())'" } ?? "") + " (first: \(first.name))")
    }
}

/// Finds the masks of pictures.
struct MaskFinder {
    private let folder: PictureFolder
    private let besides: [String: String]
    private let maskFolder: URL?

    init(_ folder: PictureFolder, _ maskFolder: URL?) throws {
        if let maskFolder, (try? FileManager.default.contentsOfDirectory(atPath: maskFolder.path)) == nil {
            throw DatasetError.file(maskFolder.path, problem: "no folder of masks that can be read; check its path")
        }
        (self.folder, self.maskFolder) = (folder, maskFolder)
        besides = Dictionary(folder.masks.map { (PictureFolder.stem(PictureFolder.stem($0)), $0) }) { first, _ in first
        }
    }

    /// `<stem>.mask.png` beside the picture, or else the same name, perhaps as `.png`, in the folder of masks.
    func mask(_ picture: String) -> URL? {
        if let name = besides[PictureFolder.stem(picture)] { return folder.url(name) }
        guard let maskFolder else { return nil }
        return [picture, PictureFolder.stem(picture) + ".png"].map(maskFolder.appendingPathComponent)
            .first { FileManager.default.fileExists(atPath: $0.path) }
    }

    func warnings(masked: Int) -> [String] {
        let stems = Set(folder.pictures.map(PictureFolder.stem))
        let strays = folder.masks.filter { !stems.contains(PictureFolder.stem(PictureFolder.stem($0))) }
        var warnings = strays.first.map { ["\(counted(strays.count, "mask")) of no picture (first: \($0))"] } ?? []
        let bare = folder.pictures.count - masked
        if masked > 0 || maskFolder != nil, bare > 0 {
            warnings.append("\(counted(bare, "picture")) without a mask, trained as a whole")
        }
        return warnings
    }
}
