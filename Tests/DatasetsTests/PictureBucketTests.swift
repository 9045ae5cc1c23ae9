// Buckets equal kohya's, and pictures cut for them equal Pillow's.

import Foundation
import TestSupport
import Testing

@testable import Datasets

private struct BucketGolden: Decodable {
    struct Case: Decodable {
        let resolution, minimum, maximum, step: Int
        let keeps: Bool
        let sizes, fits: [[Int]]
    }
    struct Prepared: Decodable {
        let bucket: [Int]
        let pixels, mask: [Float]
    }

    let cases: [Case]
    let prepared: Prepared
}

@Suite("Picture buckets")
struct PictureBucketTests {
    private let golden: BucketGolden

    init() throws {
        let data = try Data(contentsOf: goldens.appendingPathComponent("picture_buckets.json"))
        golden = try JSONDecoder().decode(BucketGolden.self, from: data)
    }

    @Test("are those of kohya's scripts, and so is each picture's bucket and size")
    func parity() throws {
        #expect(golden.cases.count == 8)
        for example in golden.cases {
            var buckets = PictureBuckets(resolution: example.resolution)
            buckets.avoidsEnlarging = example.keeps
            // What our defaults are, where they agree.
            if example.resolution == 448 {
                (buckets.step, buckets.minimum, buckets.maximum) = (example.step, example.minimum, example.maximum)
            }
            #expect(buckets.sizes.map { [$0.width, $0.height] } == example.sizes)
            for numbers in example.fits {
                let fit = buckets.fit(PictureSize(numbers[0], numbers[1]))
                let found = [fit.resized.width, fit.resized.height, fit.bucket.width, fit.bucket.height]
                #expect(found == Array(numbers[2...]), "\(numbers) of \(example.resolution), keeps \(example.keeps)")
            }
        }
    }

    @Test("of one square cut the middle out of every picture")
    func square() {
        let buckets = PictureBuckets(resolution: 64, isUsed: false)
        #expect(buckets.sizes == [PictureSize(64, 64)])
        let fit = buckets.fit(PictureSize(300, 100))
        #expect(fit.resized == PictureSize(192, 64) && fit.bucket == PictureSize(64, 64) && fit.corner == (64, 0))
    }

    @Test("enlarge what is smaller than any bucket, even when that is to be avoided")
    func tiny() {
        var buckets = PictureBuckets(resolution: 512)
        buckets.avoidsEnlarging = true
        #expect(buckets.fit(PictureSize(70, 50)).bucket == PictureSize(576, 448))
        #expect(buckets.fit(PictureSize(70, 66)).bucket == PictureSize(64, 64))
    }

    @Test(
        "that no model can have are refused by name",
        arguments: [
            (100, nil, nil, nil, "resolution: expected a multiple of 8 up to 8192 pixels, got 100"),
            (0, nil, nil, nil, "resolution: expected a multiple of 8 up to 8192 pixels, got 0"),
            (512, 12, nil, nil, "bucket_step: expected a multiple of 8 up to the resolution, 512, got 12"),
            (512, nil, 100, nil, "bucket_min: expected a multiple of 64 up to the resolution, 512, got 100"),
            (512, nil, nil, 448, "bucket_max: expected a multiple of 64 from the resolution, 512, to 8192, got 448"),
        ] as [(Int, Int?, Int?, Int?, String)])
    func refusals(resolution: Int, step: Int?, minimum: Int?, maximum: Int?, expected: String) throws {
        var buckets = PictureBuckets(resolution: resolution)
        (buckets.step, buckets.minimum, buckets.maximum) = (step, minimum, maximum)
        let error = try #require(throws: DatasetError.self) { try buckets.check() }
        #expect(error.description == expected)
    }

    @Test("give pixels as Pillow and masks as torch do, flipped when asked", .enabled(if: canReadPictures))
    func prepared() throws {
        var options = smallOptions
        options.usesAlphaAsMask = true
        try withPictures(["a.png": "=alpha.png", "a.txt": "a"]) { folder in
            let sample = try PictureDataset(path: folder, options: options).samples[0]
            let picture = try sample.prepared()
            let (width, height) = (picture.size.width, picture.size.height)
            #expect([width, height] == golden.prepared.bucket && sample.fit.bucket == picture.size)
            expectClose(
                actual: picture.pixels, expected: golden.prepared.pixels.map { $0 / 127.5 - 1 }, atol: 2.01 / 127.5)
            let mask = try #require(picture.mask)
            expectClose(actual: mask, expected: golden.prepared.mask, atol: 0.005)
            #expect(picture.pixels.allSatisfy { (-1...1).contains($0) })

            let flipped = try sample.prepared(flipped: true)
            for row in 0..<3 * height {
                let range = row * width..<(row + 1) * width
                #expect(Array(flipped.pixels[range]) == picture.pixels[range].reversed())
            }
            for row in 0..<height / 8 {
                let range = row * (width / 8)..<(row + 1) * (width / 8)
                #expect(try Array(#require(flipped.mask)[range]) == mask[range].reversed())
            }
        }
    }

    @Test("notice a picture that changed after the data was read", .enabled(if: canReadPictures))
    func changed() throws {
        try withPictures(["a.png": "=colour.png", "a.txt": "a"]) { folder in
            let sample = try PictureDataset(path: folder, options: smallOptions).samples[0]
            let other = goldens.appendingPathComponent("pictures/upright-6.jpg")
            try Data(contentsOf: other).write(to: sample.url)
            let error = try #require(throws: DatasetError.self) { try sample.prepared() }
            #expect(
                error.description.hasSuffix(
                    "a.png: expected 40 × 24 pixels as when the data was read, got 24 × 40; start again"))
        }
    }
}
