// SVG to PNG by librsvg and cairo, loaded at run time where the machine has them.
// API: https://gnome.pages.gitlab.gnome.org/librsvg/Rsvg-2.0/ and https://www.cairographics.org/manual/

import Foundation

/// Why a picture could not be made.
enum PictureError: Error, CustomStringConvertible {
    case missingLibrary(String)
    case failed(String)

    var description: String {
        switch self {
        case .missingLibrary(let detail):
            #if os(macOS)
                "no PNG of the curve was made: \(detail); to have one: brew install librsvg"
            #else
                "no PNG of the curve was made: \(detail); to have one: apt-get install librsvg2-2 fonts-dejavu-core"
            #endif
        case .failed(let reason): "no PNG of the curve was made: \(reason); the SVG shows the same"
        }
    }
}

/// Renders SVG documents.
struct PictureRenderer {
    private typealias Pointer = UnsafeMutableRawPointer
    private typealias NewFromData =
        @convention(c) (UnsafePointer<UInt8>, Int, UnsafeMutablePointer<Pointer?>?) -> Pointer?
    private typealias RenderDocument =
        @convention(c) (Pointer, Pointer, UnsafePointer<Double>, UnsafeMutablePointer<Pointer?>?) -> Int32
    private typealias RenderCairo = @convention(c) (Pointer, Pointer) -> Int32
    private typealias SurfaceCreate = @convention(c) (Int32, Int32, Int32) -> Pointer?
    private typealias Create = @convention(c) (Pointer) -> Pointer?
    private typealias Scale = @convention(c) (Pointer, Double, Double) -> Void
    private typealias Colour = @convention(c) (Pointer, Double, Double, Double) -> Void
    private typealias Act = @convention(c) (Pointer) -> Void
    private typealias Number = @convention(c) (Pointer) -> Int32
    private typealias Pixels = @convention(c) (Pointer) -> UnsafePointer<UInt8>?
    private typealias StatusText = @convention(c) (Int32) -> UnsafePointer<CChar>?

    private let newFromData: NewFromData
    /// librsvg 2.46 and later.
    private let renderDocument: RenderDocument?
    /// Before.
    private let renderCairo: RenderCairo?
    private let surfaceCreate: SurfaceCreate
    private let surfaceStatus, surfaceStride: Number
    private let surfacePixels: Pixels
    private let create: Create
    private let scale: Scale
    private let setColour: Colour
    private let unreference, surfaceFlush, surfaceDestroy, paint, destroy: Act
    private let statusText: StatusText
    private let encoder: PNGEncoder

    /// Loads the libraries; they stay loaded.
    init(rsvgNames: [String] = Self.rsvgNames, cairoNames: [String] = Self.cairoNames) throws {
        let rsvg = try Self.open(rsvgNames)
        let cairo = try Self.open(cairoNames)
        newFromData = try Self.function("rsvg_handle_new_from_data", in: rsvg)
        renderDocument = try? Self.function("rsvg_handle_render_document", in: rsvg)
        renderCairo = try? Self.function("rsvg_handle_render_cairo", in: rsvg)
        unreference = try Self.function("g_object_unref", in: rsvg)
        surfaceCreate = try Self.function("cairo_image_surface_create", in: cairo)
        surfaceStatus = try Self.function("cairo_surface_status", in: cairo)
        surfaceStride = try Self.function("cairo_image_surface_get_stride", in: cairo)
        surfacePixels = try Self.function("cairo_image_surface_get_data", in: cairo)
        surfaceFlush = try Self.function("cairo_surface_flush", in: cairo)
        surfaceDestroy = try Self.function("cairo_surface_destroy", in: cairo)
        create = try Self.function("cairo_create", in: cairo)
        scale = try Self.function("cairo_scale", in: cairo)
        setColour = try Self.function("cairo_set_source_rgb", in: cairo)
        paint = try Self.function("cairo_paint", in: cairo)
        destroy = try Self.function("cairo_destroy", in: cairo)
        statusText = try Self.function("cairo_status_to_string", in: cairo)
        encoder = PNGEncoder(
            compress: try Self.function("compress2", in: cairo), checksum: try Self.function("crc32", in: cairo))
    }

    /// The document as a PNG of `factor` times its size, on white.
    func png(_ svg: String, width: Int, height: Int, factor: Double = 1.5) throws -> Data {
        let (columns, rows) = (Numbers.integer(Double(width) * factor), Numbers.integer(Double(height) * factor))
        guard (1...8192).contains(columns), (1...8192).contains(rows) else {
            throw PictureError.failed("\(columns) × \(rows) pixels are out of range")
        }
        let opaque: Int32 = 1  // CAIRO_FORMAT_RGB24
        guard let surface = surfaceCreate(opaque, Int32(columns), Int32(rows)) else {
            throw PictureError.failed("cairo returned no surface")
        }
        defer { surfaceDestroy(surface) }
        try check(surface)
        try draw(svg, on: surface, size: (Double(width), Double(height)), factor: factor)
        try check(surface)
        surfaceFlush(surface)
        let stride = Int(surfaceStride(surface))
        guard let pixels = surfacePixels(surface), stride >= columns * 4,
            let data = encoder.encode(pixels, width: columns, height: rows, stride: stride)
        else { throw PictureError.failed("the pixels cannot be compressed") }
        return data
    }

    private func draw(
        _ svg: String, on surface: Pointer, size: (width: Double, height: Double), factor: Double
    ) throws {
        let bytes = Array(svg.utf8)
        let handle = bytes.withUnsafeBufferPointer { buffer in
            buffer.baseAddress.flatMap { newFromData($0, buffer.count, nil) }
        }
        guard let handle else { throw PictureError.failed("librsvg cannot read the SVG") }
        defer { unreference(handle) }
        guard let context = create(surface) else { throw PictureError.failed("cairo returned no context") }
        defer { destroy(context) }
        setColour(context, 1, 1, 1)
        paint(context)
        scale(context, factor, factor)
        let isDone: Int32
        if let renderDocument {
            isDone = [0, 0, size.width, size.height].withUnsafeBufferPointer { area in
                area.baseAddress.map { renderDocument(handle, context, $0, nil) } ?? 0
            }
        } else {
            isDone = renderCairo?(handle, context) ?? 0
        }
        guard isDone != 0 else { throw PictureError.failed("librsvg cannot draw the SVG") }
    }

    private func check(_ surface: Pointer) throws {
        let status = surfaceStatus(surface)
        guard status != 0 else { return }
        throw PictureError.failed(statusText(status).map { String(cString: $0) } ?? "cairo status \(status)")
    }

    // MARK: - Loading

    #if os(macOS)
        static let rsvgNames = [
            "librsvg-2.2.dylib", "/opt/homebrew/lib/librsvg-2.2.dylib", "/usr/local/lib/librsvg-2.2.dylib",
        ]
        static let cairoNames = [
            "libcairo.2.dylib", "/opt/homebrew/lib/libcairo.2.dylib", "/usr/local/lib/libcairo.2.dylib",
        ]
    #else
        static let rsvgNames = ["librsvg-2.so.2"]
        static let cairoNames = ["libcairo.so.2"]
    #endif

    private static func open(_ names: [String]) throws -> Pointer {
        for name in names {
            if let library = dlopen(name, RTLD_NOW | RTLD_LOCAL) { return library }
        }
        let reason = dlerror().map { String(cString: $0) } ?? "\(names[0]) not found"
        throw PictureError.missingLibrary(reason)
    }

    /// A symbol of the library, or of one that it depends on.
    private static func function<T>(_ name: String, in library: Pointer) throws -> T {
        guard let symbol = dlsym(library, name) else {
            throw PictureError.missingLibrary("\(name) not found in the library")
        }
        return unsafeBitCast(symbol, to: T.self)
    }
}
