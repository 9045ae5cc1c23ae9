// Pictures as pixels: decoded and encoded by libvips (Sources/CPictures), cut and mirrored here.

import CPictures
import Foundation

/// A picture of 8-bit sRGB pixels.
public struct Picture: Sendable, Equatable {
    /// Pixels in each direction.
    public let width, height: Int
    /// Red, green and blue of each pixel, row by row.
    public let pixels: [UInt8]
    /// How opaque each pixel is, where the file says so.
    public let alpha: [UInt8]?

    /// A picture of `pixels`: width · height · 3 bytes.
    public init(width: Int, height: Int, pixels: [UInt8], alpha: [UInt8]? = nil) {
        precondition(pixels.count == 3 * width * height && (alpha?.count ?? width * height) == width * height)
        (self.width, self.height, self.pixels, self.alpha) = (width, height, pixels, alpha)
    }

    /// Throws, with what to install, where this machine cannot read pictures.
    public static func requireLibrary() throws { try PictureLibrary.load() }

    /// Width and height of the picture in a file, upright as its EXIF orientation asks; reads its header alone.
    public static func size(of url: URL) throws -> (width: Int, height: Int) {
        try PictureLibrary.load()
        let file = try MappedFile(url)
        var size = cpictures_size()
        try PictureLibrary.call(url) { error in
            file.withBytes { cpictures_measure($0.baseAddress, $0.count, &size, &error) == 0 ? () : nil }
        }
        return (Int(size.width), Int(size.height))
    }

    /// Decodes a JPEG, PNG, WebP, TIFF, GIF or HEIF file, upright; damaged and cut-off files are refused.
    public init(contentsOf url: URL) throws {
        try PictureLibrary.load()
        let file = try MappedFile(url)
        var size = cpictures_size()
        let decoded = try PictureLibrary.call(url) { error in
            file.withBytes { cpictures_decode($0.baseAddress, $0.count, &size, &error) }
        }
        defer { free(decoded) }
        let (width, height) = (Int(size.width), Int(size.height))
        guard size.has_alpha != 0 else {
            let pixels = Array(UnsafeBufferPointer(start: decoded, count: 3 * width * height))
            self.init(width: width, height: height, pixels: pixels)
            return
        }
        var pixels = [UInt8](repeating: 0, count: 3 * width * height)
        var alpha = [UInt8](repeating: 0, count: width * height)
        for place in alpha.indices {
            for band in 0..<3 { pixels[3 * place + band] = decoded[4 * place + band] }
            alpha[place] = decoded[4 * place + 3]
        }
        self.init(width: width, height: height, pixels: pixels, alpha: alpha)
    }

    /// How opaque each pixel is, as grey: white where it is fully so.
    public var opacity: Picture? {
        alpha.map { Picture(width: width, height: height, pixels: $0.flatMap { [$0, $0, $0] }) }
    }

    /// The picture on white where it was transparent.
    public var onWhite: Picture {
        guard let alpha else { return self }
        var pixels = pixels
        for (place, opacity) in alpha.enumerated() where opacity < 255 {
            let white = 255 * (255 - Int(opacity))
            for index in 3 * place..<3 * place + 3 {
                let colour = Int(pixels[index]) * Int(opacity)
                pixels[index] = UInt8((colour + white + 127) / 255)
            }
        }
        return Picture(width: width, height: height, pixels: pixels)
    }

    /// The part of `width` by `height` pixels whose upper left corner is at (`x`, `y`); without its alpha.
    public func cropped(x: Int, y: Int, _ width: Int, _ height: Int) -> Picture {
        precondition(x >= 0 && y >= 0 && x + width <= self.width && y + height <= self.height)
        var part: [UInt8] = []
        part.reserveCapacity(3 * width * height)
        for row in y..<y + height {
            let start = 3 * (row * self.width + x)
            part += pixels[start..<start + 3 * width]
        }
        return Picture(width: width, height: height, pixels: part)
    }

    /// The picture with left and right exchanged; without its alpha.
    public var mirrored: Picture {
        var result = pixels
        for row in 0..<height {
            for column in 0..<width {
                let (from, to) = (3 * (row * width + column), 3 * (row * width + width - 1 - column))
                for band in 0..<3 { result[to + band] = pixels[from + band] }
            }
        }
        return Picture(width: width, height: height, pixels: result)
    }

    /// The picture as a PNG file, without its alpha.
    public func png() throws -> Data {
        try PictureLibrary.load()
        var count = 0
        let file = try PictureLibrary.call(nil) { error in
            cpictures_png(pixels, Int32(width), Int32(height), 3, &count, &error)
        }
        return Data(bytesNoCopy: file, count: count, deallocator: .free)
    }

    /// An SVG document drawn at `scale` times its size on white, as a PNG file.
    public static func png(svg: String, scale: Double) throws -> Data {
        try PictureLibrary.load()
        var count = 0
        let text = Array(svg.utf8)
        let file = try PictureLibrary.call(nil) { error in
            cpictures_draw(text, text.count, scale, &count, &error)
        }
        return Data(bytesNoCopy: file, count: count, deallocator: .free)
    }
}

/// The library that reads pictures.
enum PictureLibrary {
    /// Loads the library, once; throws where the machine has none.
    static func load() throws {
        guard let reason = cpictures_load() else { return }
        throw PictureError.missingLibrary(String(cString: reason))
    }

    /// What `body` gives, or the text it leaves as an error; a call that fails is made again, alone, to have its text.
    static func call<R>(_ url: URL?, _ body: (inout UnsafeMutablePointer<CChar>?) -> R?) throws -> R {
        var problem = "unknown"
        for isAlone in [false, true] {
            cpictures_begin(isAlone ? 1 : 0)
            defer { cpictures_end() }
            var error: UnsafeMutablePointer<CChar>?
            defer { free(error) }
            if let result = body(&error) { return result }
            problem = error.map { String(cString: $0) } ?? problem
        }
        throw PictureError.failed(path: url?.shownPath, problem: problem)
    }
}

/// Why a picture could not be read or made.
public enum PictureError: Error, CustomStringConvertible, Equatable {
    case missingLibrary(String)
    case failed(path: String?, problem: String)

    public var description: String {
        switch self {
        case .missingLibrary(let detail):
            #if os(macOS)
                "pictures need libvips, which cannot be loaded (\(detail.onOneLine)); run: brew install vips"
            #else
                "pictures need libvips, which cannot be loaded (\(detail.onOneLine)); "
                    + "run: sudo apt-get install -y libvips42 fonts-dejavu-core"
            #endif
        case .failed(let path?, let problem):
            "\(path): not a picture that can be read (\(problem.onOneLine)); repair it, or take it out of the folder"
        case .failed(nil, let problem): "libvips cannot make the picture: \(problem.onOneLine)"
        }
    }
}
