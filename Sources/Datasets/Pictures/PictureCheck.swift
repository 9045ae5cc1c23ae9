// Looks at every picture before the first step: what cannot be read, is too small, or is there twice.

import Formats
import Foundation

/// What was found out of pictures.
struct PictureCheck {
    /// Pictures that can be trained on.
    private(set) var sound: [(found: FoundPicture, facts: PictureFacts)] = []
    /// The others.
    private(set) var broken: [BrokenPicture] = []
    /// The sound ones as samples, in the same order.
    let samples: [PictureSample]

    /// Shorter sides than this teach little whatever the model.
    static let tiny = 64
    /// Pixels of the largest picture after it was resized and before it is cut.
    static let largest = 1 << 27

    init(_ pictures: [FoundPicture], _ options: PictureDataOptions) throws {
        let sizes = options.buckets.sizes
        // Two halves, so two at a time: decoded pictures are large.
        let looks = try pictures.parallelMap(chunk: max(1, (pictures.count + 1) / 2)) { found in
            Self.look(found, options, sizes)
        }
        for (found, look) in zip(pictures, looks) {
            switch look {
            case .success(let facts): sound.append((found, facts))
            case .failure(let picture): broken.append(picture)
            }
        }
        samples = sound.map { found, facts in
            PictureSample(
                url: found.url, name: found.name,
                caption: options.captions.full(found.caption, isRegularisation: found.isRegularisation),
                repeats: found.repeats, isRegularisation: found.isRegularisation,
                lossWeight: found.isRegularisation ? options.regularisationWeight : 1,
                mask: found.mask.map(PictureMask.file) ?? (options.usesAlphaAsMask ? .alpha : nil),
                size: facts.size, fit: facts.fit, contentHash: facts.contentHash,
                ownCaption: found.caption, rule: options.captions)
        }
    }

    private static func look(
        _ found: FoundPicture, _ options: PictureDataOptions, _ sizes: [PictureSize]
    ) -> Result<PictureFacts, BrokenPicture> {
        var name = found.name
        do {
            let size = try size(found.url, decodes: options.decodesAll)
            let fit = options.buckets.fit(size, in: sizes)
            guard fit.resized.width <= largest / fit.resized.height else {
                return .failure(BrokenPicture(name: name, problem: "\(size) pixels: too long and narrow to be resized"))
            }
            var isMaskBlack = false
            if let mask = found.mask {
                name = mask.lastPathComponent
                let picture = options.decodesAll ? try Picture(contentsOf: mask) : nil
                let maskSize = try picture.map { PictureSize($0.width, $0.height) } ?? self.size(mask, decodes: false)
                guard maskSize == size else {
                    let problem = "\(maskSize) pixels, and its picture \(found.name) has \(size)"
                    return .failure(BrokenPicture(name: name, problem: problem))
                }
                isMaskBlack = picture?.pixels.allSatisfy { $0 == 0 } ?? false
            }
            let hash = try sha256(of: found.url)
            return .success(PictureFacts(size: size, fit: fit, contentHash: hash, isMaskBlack: isMaskBlack))
        } catch PictureError.failed(_, let problem) {
            return .failure(BrokenPicture(name: name, problem: problem.excerpt(120)))
        } catch {
            return .failure(BrokenPicture(name: name, problem: "\(error)".excerpt(300)))
        }
    }

    private static func size(_ url: URL, decodes: Bool) throws -> PictureSize {
        guard decodes else {
            let size = try Picture.size(of: url)
            return PictureSize(size.width, size.height)
        }
        let picture = try Picture(contentsOf: url)
        return PictureSize(picture.width, picture.height)
    }

    // MARK: - Warnings

    /// A line for each kind of trouble, with the first picture that has it.
    var warnings: [String] {
        var lines: [String] = []
        if !broken.isEmpty {
            let names = broken.map { "\($0.name) (\($0.problem))" }.joined(separator: ", ")
            lines.append("left out \(counted(broken.count, "picture")) that cannot be trained on: \(names)")
        }
        func note(_ rest: String, _ all: [String]) {
            if let first = all.first { lines.append("\(counted(all.count, "picture")) \(rest) (first: \(first))") }
        }
        note("the same as an earlier one, byte for byte", duplicates.map { "\($0.name) = \($0.earlier)" })
        note(
            "under \(Self.tiny) pixels wide or high",
            sound.filter { min($0.facts.size.width, $0.facts.size.height) < Self.tiny }.map {
                shown($0.found, $0.facts.size)
            })
        note(
            "smaller than the bucket and so enlarged, which teaches blur; find larger ones or lower the resolution",
            sound.filter { $0.facts.fit.resized.width > $0.facts.size.width }
                .map { "\(shown($0.found, $0.facts.size)), to \($0.facts.fit.bucket)" })
        note(
            "with a mask that is all black, which teaches nothing", sound.filter(\.facts.isMaskBlack).map(\.found.name))
        return lines
    }

    /// Pictures whose files are equal to that of an earlier one.
    var duplicates: [(name: String, earlier: String)] {
        var seen: [String: String] = [:]
        return sound.compactMap { found, facts in
            if let earlier = seen[facts.contentHash] { return (found.name, earlier) }
            seen[facts.contentHash] = found.name
            return nil
        }
    }

    private func shown(_ found: FoundPicture, _ size: PictureSize) -> String { "\(found.name), \(size)" }
}

/// What was found out of a picture that can be trained on.
struct PictureFacts: Sendable {
    let size: PictureSize
    let fit: PictureFit
    let contentHash: String
    let isMaskBlack: Bool
}
