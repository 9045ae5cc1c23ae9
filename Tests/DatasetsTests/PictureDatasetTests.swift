// Folders of pictures: what is found, what the check says, regularisation, masks, validation and batches.

import Formats
import Foundation
import TestSupport
import Testing

@testable import Datasets

@Suite("Picture data", .enabled(if: canReadPictures, "libvips is not here"))
struct PictureDatasetTests {
    @Test("are the pictures of a folder and those below, but for hidden files and the output of runs")
    func finding() throws {
        try withPictures([
            "b.PNG": "=colour.png", "a/x.jpeg": "=upright-6.jpg", "a/y.webp": "=lossless.webp",
            ".git/z.png": "=deep.png",
            ".z.png": "=deep.png", "LICENSE": "", "README.md": "", "out/run/config.yaml": "", "out/run/facts.json": "",
            "out/run/samples/z.png": "=deep.png",
            "metadata.csv": "b.PNG,b\na/x.jpeg,x\na/y.webp,y\n",
        ]) { folder in
            try FileManager.default.createSymbolicLink(
                at: folder.appendingPathComponent("loop"), withDestinationURL: folder)
            try FileManager.default.createSymbolicLink(
                at: folder.appendingPathComponent("c.png"), withDestinationURL: folder.appendingPathComponent("b.PNG"))
            let data = try PictureDataset(path: folder, options: smallOptions)
            #expect(data.samples.map(\.name) == ["a/x.jpeg", "a/y.webp", "b.PNG", "c.png"])
            #expect(data.samples[0].size == PictureSize(24, 40) && data.samples[0].fit.bucket == PictureSize(24, 40))
            #expect(data.files.map(\.lastPathComponent) == ["x.jpeg", "y.webp", "b.PNG", "c.png", "metadata.csv"])
            #expect(!data.summary.warnings.contains { $0.contains("ignored") })
            #expect(
                data.summary.warnings.contains(
                    "1 picture the same as an earlier one, byte for byte (first: c.png = b.PNG)"))
        }
    }

    @Test("that are none are errors")
    func nothing() throws {
        #expect(
            try pictureError([".x.png": "=colour.png"])
                == "DIR: no pictures in this folder (0 other files); expected files ending in .jpg, .png or .webp")
        #expect(
            try pictureError(["a.bmp": "", "a.txt": "x"])
                == "DIR: no pictures in this folder (2 other files, such as a.txt); expected files ending in .jpg, .png or .webp"
        )
        try withPictures(["a.png": "=colour.png"]) { folder in
            for (name, expected) in [
                ("a.png", "this is a file; expected a folder of pictures"), ("b", "no such folder"),
            ] {
                let error = try #require(throws: DatasetError.self) {
                    try PictureDataset(path: folder.appendingPathComponent(name), options: smallOptions)
                }
                #expect(error.description.hasPrefix("\(folder.path)/\(name): \(expected)"))
            }
        }
        #expect(
            try pictureError(["0_x/a.png": "=colour.png"])
                == "0_x: a folder of this name repeats its pictures 0 times; expected 1 to 10000: rename it")
    }

    @Test("that cannot be read are one error that names all, or are left out when asked")
    func broken() throws {
        let files: KeyValuePairs = [
            "a.png": "=colour.png", "b.jpg": "=cut.jpg", "c.png": "=text.png", "d.webp": "=cut.webp",
            "e.png": "=huge.png",
            "10_x/f.png": "=empty.jpg", "metadata.csv": "a.png,x\n",
        ]
        let error = try pictureError(files)
        #expect(
            error.hasPrefix("DIR: 5 pictures cannot be trained on: 10_x/f.png (empty), b.jpg (VipsJpeg: "), "\(error)")
        for name in ["c.png (its content is not that of", "d.webp (", "e.png (more than 65,536 pixels"] {
            #expect(error.contains(name), "\(error)")
        }
        #expect(
            error.hasSuffix("; repair or remove them, or set skip_broken to go on without") && !error.contains("\n"))

        var options = smallOptions
        options.skipsBroken = true
        let data = try pictureDataset(files, options)
        #expect(data.samples.map(\.name) == ["a.png"] && data.summary.broken.count == 5)
        #expect(
            data.summary.warnings[0].hasPrefix("left out 5 pictures that cannot be trained on: 10_x/f.png (empty), "))
        let only = try pictureError(["1_x/b.jpg": "=cut.jpg"], options)
        #expect(only.hasPrefix("DIR: 1 picture cannot be trained on: 1_x/b.jpg (VipsJpeg: "), "\(only)")
        // Without decoding, what only the end of a file shows is not seen.
        options.decodesAll = false
        #expect(try pictureDataset(files, options).samples.map(\.name) == ["a.png", "b.jpg"])
    }

    @Test("in numbers: buckets, tags, folders and five examples")
    func summary() throws {
        let data = try pictureDataset([
            "2_cat/a.png": "=colour.png", "2_cat/a.txt": "Cat, red", "2_cat/b.jpg": "=upright-6.jpg",
            "2_cat/b.txt": "cat,blue",
            "c.png": "=palette.png", "c.txt": "dog", "d.png": "=deep.png", "d.txt": "dog", "e.png": "=deep-grey.png",
            "e.txt": "dog", "f.webp": "=lossless.webp", "f.txt": "A very long caption",
        ])
        let summary = data.summary
        #expect(summary.buckets.map { "\($0.size): \($0.pictures), \($0.uses)" } == ["24 × 40: 1, 2", "40 × 24: 5, 6"])
        #expect(summary.folders.map(\.name).last == "2_cat" && summary.folders[1].repeats == 2)
        #expect(summary.folders[1].tags == ["cat": 2, "red": 1, "blue": 1])
        #expect(summary.folders[0].tags["dog"] == 3 && summary.folders[0].pictures == 4)
        #expect(summary.meanAspectError == 0)
        #expect((summary.shortest, summary.median, summary.longest) == (3, 8, 19))
        #expect(summary.examples.map(\.name) == ["2_cat/a.png", "2_cat/b.jpg", "c.png", "d.png", "e.png"])
        #expect(summary.examples[0].caption == "Cat, red")
        #expect(
            summary.line
                == "6 pictures, 8 uses an epoch; captions: 6 from .txt; 2 buckets (24 × 40: 1, 40 × 24: 5)")
    }

    @Test("with masks use them beside the picture, in a folder, and from transparency, in this order")
    func masks() throws {
        var options = smallOptions
        options.usesAlphaAsMask = true
        try withPictures([
            "a.png": "=colour.png", "a.mask.png": "=grey-alpha.png", "b.png": "=alpha.png",
            "masks/a.png": "=colour.png",
            "masks/b.png": "=two-colours.png", "c.png": "=alpha.png", "metadata.csv": "a.png,a\nb.png,b\nc.png,c\n",
        ]) { folder in
            options.maskFolder = folder.appendingPathComponent("masks")
            let data = try PictureDataset(path: folder, options: options)
            #expect(
                data.samples.map(\.mask) == [
                    .file(folder.appendingPathComponent("a.mask.png")),
                    .file(folder.appendingPathComponent("masks/b.png")),
                    .alpha,
                ])
            #expect(data.samples.allSatisfy { (try? $0.prepared().mask?.count) == 15 })
            #expect(
                data.files.map(\.lastPathComponent) == [
                    "a.png", "b.png", "c.png", "a.mask.png", "b.png", "metadata.csv",
                ])
            #expect(data.summary.masked == 2)
        }
        #expect(
            try pictureError(["a.jpg": "=upright-6.jpg", "a.mask.png": "=colour.png", "a.txt": "a"])
                .contains("a.mask.png (40 × 24 pixels, and its picture a.jpg has 24 × 40)"))
    }

    @Test("with masks in a folder that is not there are refused")
    func noMasks() throws {
        var options = smallOptions
        options.maskFolder = URL(fileURLWithPath: "/none/masks")
        #expect(
            try pictureError(["a.png": "=colour.png", "a.txt": "a"], options)
                == "/none/masks: no folder of masks that can be read; check its path")
    }

    @Test("too long and narrow to be resized are broken")
    func narrow() throws {
        try withPictures(["1_x/a.png": "=colour.png"]) { folder in
            let line = Picture(width: 60_000, height: 1, pixels: [UInt8](repeating: 9, count: 180_000))
            try line.png().write(to: folder.appendingPathComponent("1_x/b.png"))
            let options = PictureDataOptions(resolution: 2048, usesBuckets: false)
            let error = try #require(throws: DatasetError.self) { try PictureDataset(path: folder, options: options) }
            #expect(error.description.contains("1_x/b.png (60000 × 1 pixels: too long and narrow to be resized)"))
        }
    }

    // MARK: - Division

    @Test("for regularisation are balanced with the others, weighted, and never held back")
    func regularisation() throws {
        try withPictures([
            "3_x/a.png": "=colour.png", "3_x/b.png": "=palette.png", "x/c.png": "=deep.png", "x/c.txt": "c",
            "reg/1_dog/d.png": "=deep-grey.png", "reg/1_dog/e.jpg": "=grey.jpg",
        ]) { folder in
            var options = smallOptions
            options.regularisation = folder.appendingPathComponent("reg")
            options.regularisationWeight = 0.5
            options.captions.triggerWord = "sks"
            let data = try PictureDataset(path: folder, options: options)
            let own = ["3_x/a.png", "3_x/b.png", "x/c.png"]
            #expect(data.samples.map(\.name) == own + ["reg/1_dog/d.png", "reg/1_dog/e.jpg"])
            #expect(data.samples.map(\.lossWeight) == [1, 1, 1, 0.5, 0.5])
            #expect(data.samples.map(\.caption) == ["sks, x", "sks, x", "sks, c", "dog", "dog"])
            let all = try data.divided()
            #expect(all.training.map(\.repeats) == [3, 3, 1, 4, 3] && all.validation.isEmpty)
            let split = try data.divided(share: 0.3)
            #expect(split.validation.map(\.name) == ["x/c.png"])
            #expect(split.training.map(\.repeats) == [3, 3, 3, 3])
            #expect(throws: DatasetError.self) { try data.divided(share: 1) }
        }
    }

    @Test("for regularisation that are too many are left out")
    func tooMany() throws {
        try withPictures([
            "t/a.png": "=colour.png", "t/a.txt": "a", "r/2_x/a.png": "=deep.png", "r/2_x/b.png": "=palette.png",
        ]) { folder in
            var options = smallOptions
            options.regularisation = folder.appendingPathComponent("r")
            let data = try PictureDataset(path: folder.appendingPathComponent("t"), options: options)
            #expect(try data.divided().training.map(\.name) == ["a.png", "r/2_x/a.png"])
        }
    }

    // MARK: - Batches

    @Test("use every repetition once an epoch, in batches of one bucket")
    func batches() throws {
        let samples = [
            sample("a", repeats: 3), sample("b", PictureSize(24, 40), repeats: 2), sample("c"),
            sample("d", PictureSize(9, 9)),
        ]
        let plan = try PictureBatchPlan(samples, batchSize: 2, accumulation: 2, flips: true, seed: 5)
        #expect(plan.usesPerEpoch == 7 && plan.stepsPerEpoch == 2)
        #expect(plan.largestMicroBatch.count == 2)
        var flipped = 0
        for epoch in 0..<200 {
            let steps = plan.steps(epoch: epoch)
            #expect(steps.map(\.count) == [2, 2])
            let uses = steps.flatMap { $0.flatMap { $0 } }
            #expect(
                uses.map { [$0.sample, $0.draw] }.sorted { $0.lexicographicallyPrecedes($1) }
                    == [
                        [0, 3 * epoch], [0, 3 * epoch + 1], [0, 3 * epoch + 2], [1, 2 * epoch], [1, 2 * epoch + 1],
                        [2, epoch], [3, epoch],
                    ])
            for batch in steps.joined() { #expect(Set(batch.map { samples[$0.sample].fit.bucket }).count == 1) }
            for step in 0..<2 { #expect(plan.microBatches(epoch: epoch, step: step) == steps[step]) }
            flipped += uses.count { $0.isFlipped }
        }
        #expect(abs(flipped - 700) < 80 && plan.microBatches(epoch: 0, step: 2).isEmpty)
    }

    @Test("come in an order that depends on seed and epoch alone, and flipping does not change it")
    func order() throws {
        let samples = (0..<30).map { sample("\($0)", PictureSize($0 % 2 == 0 ? 24 : 40, 32)) }
        func order(_ seed: UInt64, _ epoch: Int, flips: Bool = false) throws -> [[[Int]]] {
            try PictureBatchPlan(samples, batchSize: 4, flips: flips, seed: seed).steps(epoch: epoch)
                .map { $0.map { $0.map(\.sample) } }
        }
        #expect(try order(1, 0) == order(1, 0) && order(1, 0) == order(1, 0, flips: true))
        #expect(try order(1, 0) != order(1, 1) && order(1, 0) != order(2, 0))
        // A resumed run depends on this.
        let small = try PictureBatchPlan(Array(samples.prefix(5)), batchSize: 2, flips: true, seed: 42).steps(epoch: 1)
        #expect(
            small.map { $0.map { $0.map { "\($0.sample)\($0.isFlipped ? "f" : "")" } } } == [
                [["3f", "1"]], [["4"]], [["2f", "0"]],
            ])
    }

    @Test("of impossible sizes are refused by name")
    func refusals() {
        #expect(throws: DatasetError.option("batch_size", problem: "expected 1 to 1000000, got 0")) {
            try PictureBatchPlan([sample("a")], batchSize: 0, seed: 0)
        }
        #expect(throws: DatasetError.self) { try PictureBatchPlan([], batchSize: 1, seed: 0) }
    }
}
