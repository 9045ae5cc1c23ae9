// SVG to PNG by librsvg and cairo, loaded at run time where the machine has them.
// API: https://gnome.pages.gitlab.gnome.org/librsvg/Rsvg-2.0/ and https://www.cairographics.org/manual/

import Foundation

/// Why a picture could not be made.
enum PictureError: Error, CustomStringConvertible {
    case missingLibrary(String)
    case failed(file: String, reason: String)

    var description: String {
        switch self {
        case .missingLibrary(let detail):
            #if os(macOS)
                "no PNG of the curve was made: \(detail); to have one: brew install librsvg"
            #else
                "no PNG of the curve was made: \(detail); to have one: apt-get install librsvg2-2 fonts-dejavu-core"
            #endif
        case .failed(let file, let reason):
            "\(file): no PNG of the curve was made: \(reason); the SVG beside it shows the same"
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
    private typealias Release = @convention(c) (Pointer) -> Void
    private typealias Status = @convention(c) (Pointer) -> Int32
    private typealias WritePNG = @convention(c) (Pointer, UnsafePointer<CChar>) -> Int32
    private typealias StatusText = @convention(c) (Int32) -> UnsafePointer<CChar>?

    private let newFromData: NewFromData
    /// librsvg 2.46 and later.
    private let renderDocument: RenderDocument?
    /// Before.
    private let renderCairo: RenderCairo?
    private let unreference: Release
    private let surfaceCreate: SurfaceCreate
    private let surfaceStatus: Status
    private let surfaceDestroy: Release
    private let create: Create
    private let scale: Scale
    private let destroy: Release
    private let writePNG: WritePNG
    private let statusText: StatusText

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
        surfaceDestroy = try Self.function("cairo_surface_destroy", in: cairo)
        create = try Self.function("cairo_create", in: cairo)
        scale = try Self.function("cairo_scale", in: cairo)
        destroy = try Self.function("cairo_destroy", in: cairo)
        writePNG = try Self.function("cairo_surface_write_to_png", in: cairo)
        statusText = try Self.function("cairo_status_to_string", in: cairo)
    }

    /// Writes the document as a PNG of `scale` times its size; the file appears whole or not at all.
    func write(_ svg: String, width: Int, height: Int, scale factor: Int = 2, to file: URL) throws {
        let sides = 1...8192
        guard sides.contains(width), sides.contains(height), (1...4).contains(factor) else {
            throw PictureError.failed(file: file.path, reason: "\(width) × \(height) × \(factor) is out of range")
        }
        guard let surface = surfaceCreate(0, Int32(width * factor), Int32(height * factor)) else {
            throw PictureError.failed(file: file.path, reason: "cairo returned no surface")
        }
        defer { surfaceDestroy(surface) }
        try check(surfaceStatus(surface), file)
        try draw(svg, on: surface, size: (Double(width), Double(height)), factor: Double(factor), file)

        let draft = file.deletingLastPathComponent().appendingPathComponent(".\(file.lastPathComponent).part")
        defer { unlink(draft.path) }
        try check(writePNG(surface, draft.path), file)
        guard rename(draft.path, file.path) == 0 else {
            throw PictureError.failed(file: file.path, reason: String(cString: strerror(errno)))
        }
    }

    private func draw(
        _ svg: String, on surface: Pointer, size: (width: Double, height: Double), factor: Double, _ file: URL
    ) throws {
        let bytes = Array(svg.utf8)
        let handle = bytes.withUnsafeBufferPointer { buffer in
            buffer.baseAddress.flatMap { newFromData($0, buffer.count, nil) }
        }
        guard let handle else { throw PictureError.failed(file: file.path, reason: "librsvg cannot read the SVG") }
        defer { unreference(handle) }
        guard let context = create(surface) else {
            throw PictureError.failed(file: file.path, reason: "cairo returned no context")
        }
        defer { destroy(context) }
        scale(context, factor, factor)
        let done: Int32
        if let renderDocument {
            done = [0, 0, size.width, size.height].withUnsafeBufferPointer { area in
                area.baseAddress.map { renderDocument(handle, context, $0, nil) } ?? 0
            }
        } else {
            done = renderCairo?(handle, context) ?? 0
        }
        guard done != 0 else { throw PictureError.failed(file: file.path, reason: "librsvg cannot draw the SVG") }
    }

    private func check(_ status: Int32, _ file: URL) throws {
        guard status != 0 else { return }
        let reason = statusText(status).map { String(cString: $0) } ?? "cairo status \(status)"
        throw PictureError.failed(file: file.path, reason: reason)
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
