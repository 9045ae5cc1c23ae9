// Pictures: what libvips reads equals what Pillow reads; what is no sound picture is refused by name.

import Foundation
import TestSupport
import Testing

@testable import Formats

@Suite("Pictures", .enabled(if: canReadPictures, "libvips is not here"))
struct PictureTests {
    private let folder = goldens.appendingPathComponent("pictures")
    private let picture: Picture

    init() throws { picture = try Picture(contentsOf: folder.appendingPathComponent("colour.png")) }

    /// Expects that each byte is at most `tolerance` from what Pillow gives.
    private func compare(_ pixels: [UInt8], _ name: String, tolerance: Float) throws {
        let expected = try SafetensorsFile(folder.appendingPathComponent("expected.safetensors")).tensor(name).floats()
        expectClose(actual: pixels.map(Float.init), expected: expected, atol: tolerance, rtol: 0, name)
    }

    private func expected(_ name: String) throws -> StoredTensor {
        try SafetensorsFile(folder.appendingPathComponent("expected.safetensors")).tensor(name)
    }

    // MARK: - Reading

    @Test(
        "are read upright, in 8-bit sRGB, as Pillow reads them",
        arguments: (1...8).map { "upright-\($0).jpg" } + [
            "grey.jpg", "colour.png", "palette.png", "palette-clear.png", "alpha.png", "grey-alpha.png",
            "two-colours.png", "still.gif", "lossless.webp", "alpha.webp", "colour.tif", "deep.png", "deep-grey.png",
            "deep-alpha.png",
        ])
    func reading(name: String) throws {
        let url = folder.appendingPathComponent(name)
        let picture = try Picture(contentsOf: url)
        let shape = try expected(name).shape
        #expect([picture.height, picture.width, picture.alpha == nil ? 3 : 4] == shape)
        #expect(try Picture.size(of: url) == (picture.width, picture.height))
        var pixels = picture.pixels
        if let alpha = picture.alpha {
            pixels = alpha.enumerated().flatMap { picture.pixels[3 * $0..<3 * $0 + 3] + [$1] }
        }
        // Decoders of JPEG may round differently; everything else is exact.
        try compare(pixels, name, tolerance: name.hasSuffix("jpg") ? 2 : 0)
    }

    @Test("of printers' inks become sRGB")
    func inks() throws {
        let picture = try Picture(contentsOf: folder.appendingPathComponent("cmyk.jpg"))
        // Pillow ignores how inks look; libvips asks a profile. They agree on what is light and what is dark.
        let expected = try expected("cmyk.jpg").floats()
        let difference =
            zip(picture.pixels, expected).reduce(0) { $0 + abs(Float($1.0) - $1.1) } / Float(expected.count)
        #expect(picture.width == 40 && picture.height == 24 && difference < 50, "\(difference)")
    }

    @Test(
        "that are damaged or none at all are refused in one line that names the file",
        arguments: [
            ("cut.jpg", "VipsJpeg: "), ("cut.png", "vipspng: "), ("cut.webp", "webp"),
            ("text.png", "its content is not that of a JPEG, PNG"),
            ("drawing.png", "its content is not that of a JPEG, PNG"), ("empty.jpg", "empty"),
            ("huge.png", "more than 268 million"), ("endless.png", "damaged"),
            ("expected.safetensors", "its content is not"),
        ])
    func refusal(name: String, problem: String) throws {
        let url = folder.appendingPathComponent(name)
        let error = try #require(throws: PictureError.self) { try Picture(contentsOf: url) }
        let text = error.description
        #expect(text.hasPrefix("\(url.path): not a picture that can be read (") && text.contains(problem), "\(text)")
        #expect(text.hasSuffix("; repair it, or take it out of the folder") && !text.contains("\n"), "\(text)")
    }

    @Test("that are damaged keep their own error when many are read at once")
    func refusalsSideBySide() throws {
        let folder = folder
        let names = (0..<200).map { ["cut.jpg", "colour.png", "cut.png", "text.png"][$0 % 4] }
        let lock = NSLock()
        nonisolated(unsafe) var errors: [String: Set<String>] = [:]
        DispatchQueue.concurrentPerform(iterations: names.count) { index in
            let name = names[index]
            do {
                _ = try Picture(contentsOf: folder.appendingPathComponent(name))
            } catch {
                lock.withLock { _ = errors[name, default: []].insert("\(error)") }
            }
        }
        #expect(errors.keys.sorted() == ["cut.jpg", "cut.png", "text.png"])
        #expect(errors.values.allSatisfy { $0.count == 1 }, "\(errors)")
    }

    @Test("of which any byte is changed are read or refused")
    func fuzz() throws {
        try withTemporaryFolder { temporary in
            let url = temporary.appendingPathComponent("changed")
            for name in ["upright-6.jpg", "palette-clear.png", "alpha.webp", "colour.tif", "still.gif"] {
                let whole = try Data(contentsOf: folder.appendingPathComponent(name))
                for place in stride(from: 0, to: whole.count, by: max(1, whole.count / 60)) {
                    var changed = whole
                    changed[place] ^= 0xA5
                    try changed.write(to: url)
                    if let picture = try? Picture(contentsOf: url) { #expect(picture.width > 0, "\(name) \(place)") }
                }
            }
        }
    }

    @Test("need a library, and the error says what to install")
    func library() {
        let text = PictureError.missingLibrary("libvips.so.42: no such file").description
        #expect(text.hasPrefix("pictures need libvips, which cannot be loaded (libvips.so.42: no such file); run: "))
    }

    // MARK: - Changing

    @Test("are resized as Pillow's Lanczos does", arguments: ["smaller", "larger", "narrower"])
    func resizing(name: String) throws {
        let shape = try expected("resized.\(name)").shape
        let resized = picture.resized(to: shape[1], shape[0])
        #expect([resized.height, resized.width] == shape.prefix(2).map { $0 })
        try compare(resized.pixels, "resized.\(name)", tolerance: 1)
    }

    @Test("of the same size stay as they are")
    func sameSize() {
        #expect(picture.resized(to: 40, 24) == picture)
        #expect(picture.resized(to: 40, 12).resized(to: 40, 24).pixels != picture.pixels)
    }

    @Test("are cut and mirrored pixel by pixel")
    func cutting() {
        let pixels: [UInt8] = (0..<4 * 3 * 3).map(UInt8.init)  // 4 × 3
        let picture = Picture(width: 4, height: 3, pixels: pixels)
        let part = picture.cropped(x: 1, y: 1, 2, 2)
        #expect(part.pixels == [15, 16, 17, 18, 19, 20, 27, 28, 29, 30, 31, 32])
        #expect(part.mirrored.pixels == [18, 19, 20, 15, 16, 17, 30, 31, 32, 27, 28, 29])
        #expect(picture.mirrored.mirrored == picture)
    }

    @Test("stand on white where they are transparent")
    func transparency() throws {
        let picture = Picture(
            width: 3, height: 1, pixels: [10, 20, 30, 10, 20, 30, 10, 20, 30], alpha: [255, 0, 128])
        #expect(picture.onWhite.pixels == [10, 20, 30, 255, 255, 255, 132, 137, 142])
        #expect(picture.onWhite.alpha == nil)
        #expect(picture.opacity?.pixels == [255, 255, 255, 0, 0, 0, 128, 128, 128])
        #expect(self.picture.onWhite == self.picture && self.picture.opacity == nil)
    }

    // MARK: - Writing

    @Test("come back from their PNG as they were")
    func writing() throws {
        try withTemporaryFolder { temporary in
            let url = temporary.appendingPathComponent("copy.png")
            try picture.png().write(to: url)
            #expect(try Picture(contentsOf: url) == picture)
        }
    }

    @Test("are drawn from SVG, on white, at the size asked for")
    func drawing() throws {
        let svg = """
            <svg xmlns="http://www.w3.org/2000/svg" width="20" height="10"><rect width="10" height="10" fill="#f00"/></svg>
            """
        try withTemporaryFolder { temporary in
            let url = temporary.appendingPathComponent("drawn.png")
            try Picture.png(svg: svg, scale: 1.5).write(to: url)
            let drawn = try Picture(contentsOf: url)
            #expect(drawn.width == 30 && drawn.height == 15 && drawn.alpha == nil)
            #expect(Array(drawn.pixels.prefix(3)) == [255, 0, 0] && Array(drawn.pixels.suffix(3)) == [255, 255, 255])
        }
        let error = try #require(throws: PictureError.self) { try Picture.png(svg: "<svg", scale: 1) }
        #expect(error.description.hasPrefix("libvips cannot make the picture: "), "\(error)")
    }
}
