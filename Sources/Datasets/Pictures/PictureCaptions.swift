// Finds the caption of each picture of a folder.

import Foundation

/// Where a caption comes from; earlier ones go before later ones.
public enum CaptionOrigin: String, Sendable, Codable, CaseIterable {
    /// `metadata_path`; without it, `metadata.csv`, then `metadata.jsonl`; those in deeper folders first.
    case metadata
    /// `<picture>.txt`.
    case text = ".txt"
    /// `<picture>.caption`.
    case caption = ".caption"
    /// The name of a folder such as `10_name`.
    case folder = "folder names"
    /// Nowhere.
    case none = "no caption"
}

/// The captions of a folder's pictures.
struct PictureCaptions {
    private(set) var captions: [String: (text: String, origin: CaptionOrigin)] = [:]
    /// The files that were read, in order.
    private(set) var files: [URL] = []
    private(set) var warnings: [String] = []

    init(_ folder: PictureFolder, metadata: URL?) throws {
        try readMetadata(folder, metadata)
        let listed = captions
        try readTexts(folder)
        for picture in folder.pictures where captions[picture] == nil {
            guard let caption = try PictureFolder.repeats(picture)?.caption else { continue }
            captions[picture] = (caption, .folder)
        }
        noteIgnored(folder, listed: Set(listed.keys))
    }

    /// The caption of a picture and where it comes from.
    subscript(_ picture: String) -> (text: String, origin: CaptionOrigin) { captions[picture] ?? ("", .none) }

    // MARK: - Metadata

    private mutating func readMetadata(_ folder: PictureFolder, _ metadata: URL?) throws {
        let names = PictureNames(folder)
        if let metadata {
            try read(metadata, name: metadata.relativePath, base: "", names)
            if let first = folder.metadata.first {
                warnings.append("\(first) is not read, since metadata_path names another file")
            }
            return
        }
        // Later ones replace earlier ones.
        func rank(_ name: String) -> (Int, Int, String) {
            (name.hasSuffix(".csv") ? 1 : 0, name.split(separator: "/").count, name)
        }
        for name in folder.metadata.sorted(by: { rank($0) < rank($1) }) {
            try read(folder.url(name), name: name, base: (name as NSString).deletingLastPathComponent, names)
        }
    }

    private mutating func read(_ url: URL, name: String, base: String, _ names: PictureNames) throws {
        files.append(url)
        var lines: [String: (caption: String, line: Int)] = [:]
        var repeated: [(picture: String, source: SampleSource)] = []
        for row in try PictureMetadata.rows(url, name: name) {
            let found = names.pictures(row.file, base: base)
            guard found.count == 1, let picture = found.first else {
                throw DatasetError.place(
                    file: row.source.file, line: row.source.line, problem: names.problem(row.file, found))
            }
            let caption = row.caption.trimmed
            if let earlier = lines[picture] {
                guard earlier.caption == caption else {
                    throw DatasetError.place(
                        file: row.source.file, line: row.source.line,
                        problem: "'\(picture)' has another caption on line \(earlier.line); keep one of them")
                }
                repeated.append((picture, row.source))
            } else {
                lines[picture] = (caption, row.source.line)
                if !caption.isEmpty { captions[picture] = (caption, .metadata) }
            }
        }
        guard let first = repeated.first else { return }
        warnings.append(
            "\(counted(repeated.count, "row")) the same as an earlier one "
                + "(first: \(first.source.file):\(first.source.line), '\(first.picture)')")
    }

    // MARK: - Text files

    private mutating func readTexts(_ folder: PictureFolder) throws {
        let texts = Dictionary(folder.captions.map { ($0.lowercasedExtension, $0) }) { first, _ in first }
        var read: Set<String> = []
        for picture in folder.pictures where captions[picture] == nil {
            for origin in [CaptionOrigin.text, .caption] {
                guard let name = texts[PictureFolder.stem(picture) + origin.rawValue] else { continue }
                let bytes = try SourceText(folder.url(name), name: name).bytes
                if read.insert(name).inserted { files.append(folder.url(name)) }
                let caption = String(decoding: bytes, as: UTF8.self).trimmed
                guard !caption.isEmpty else { continue }
                captions[picture] = (caption, origin)
                break
            }
        }
    }

    /// Says which caption files are not used, and why.
    private mutating func noteIgnored(_ folder: PictureFolder, listed: Set<String>) {
        let stems = Set(folder.pictures.map(PictureFolder.stem))
        let strays = folder.captions.filter { !stems.contains(PictureFolder.stem($0)) }
        if let first = strays.first {
            let verb = strays.count == 1 ? "describes" : "describe"
            warnings.append("\(counted(strays.count, "text file")) \(verb) no picture (first: \(first))")
        }
        let listed = Set(listed.map(PictureFolder.stem))
        let doubled = folder.captions.filter { listed.contains(PictureFolder.stem($0)) }
        if let first = doubled.first {
            warnings.append(
                "\(counted(doubled.count, "text file")) not read, since metadata describes the same picture "
                    + "(first: \(first))")
        }
    }
}

extension String {
    /// A path with its extension in small letters.
    fileprivate var lowercasedExtension: String {
        PictureFolder.stem(self) + "." + (self as NSString).pathExtension.lowercased()
    }
}
