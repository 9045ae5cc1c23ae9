// Finds the files of a folder of pictures and says what each is for.

import Foundation

/// The files of a folder, by what they are for; paths are relative to it, in ascending order.
struct PictureFolder {
    let path: URL
    private(set) var pictures: [String] = []
    /// Files that end in `.txt` and `.caption`.
    private(set) var captions: [String] = []
    /// `metadata.csv` and `metadata.jsonl`, at any depth.
    private(set) var metadata: [String] = []
    /// Pictures that end in `.mask.<extension>`.
    private(set) var masks: [String] = []
    /// Files that mean nothing here and are not about the folder.
    private(set) var others: [String] = []

    static let extensions: Set = ["jpg", "jpeg", "jfif", "png", "webp", "tif", "tiff", "gif", "avif", "heic", "heif"]

    /// Looks through `path` but for hidden files, the output of runs, and `excluded` files and folders.
    init(_ path: URL, without excluded: [URL] = []) throws {
        self.path = path
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path.path, isDirectory: &isFolder) else {
            throw DatasetError.file(path.path, problem: "no such folder; check the path of the pictures")
        }
        guard isFolder.boolValue else {
            throw DatasetError.file(path.path, problem: "this is a file; expected a folder of pictures")
        }
        try look("", without: Set(excluded.map(\.standardizedFileURL.path)))
        for list in [\Self.pictures, \.captions, \.metadata, \.masks, \.others] { self[keyPath: list].sort() }
        guard pictures.isEmpty else { return }
        let found = captions + metadata + masks + others
        throw DatasetError.empty(
            path.path,
            problem: "no pictures in this folder (\(counted(found.count, "other file"))"
                + (found.first.map { ", such as \($0)" } ?? "")
                + "); expected files ending in .jpg, .png or .webp")
    }

    private mutating func look(_ folder: String, without excluded: Set<String>) throws {
        let url = path.appendingPathComponent(folder)
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: url.path) else {
            throw DatasetError.file(url.path, problem: "the folder cannot be read; check its permissions")
        }
        if !folder.isEmpty, names.contains("facts.json"), names.contains("config.yaml") { return }  // a run's
        for name in names where !name.hasPrefix(".") {
            let place = url.appendingPathComponent(name)
            if excluded.contains(place.standardizedFileURL.path) { continue }
            let relative = folder.isEmpty ? name : "\(folder)/\(name)"
            switch try? place.resolvingSymlinksInPath().resourceValues(forKeys: [.isDirectoryKey]).isDirectory {
            case false?: add(relative)
            // A link to a folder could lead back here.
            case true? where (try? FileManager.default.destinationOfSymbolicLink(atPath: place.path)) == nil:
                try look(relative, without: excluded)
            default: break
            }
        }
    }

    private mutating func add(_ name: String) {
        let kind = (name as NSString).pathExtension.lowercased()
        if Self.extensions.contains(kind) {
            if Self.stem(name).lowercased().hasSuffix(".mask") { masks.append(name) } else { pictures.append(name) }
        } else if ["txt", "caption"].contains(kind) {
            captions.append(name)
        } else if ["metadata.csv", "metadata.jsonl"].contains((name as NSString).lastPathComponent) {
            metadata.append(name)
        } else if !["", "md"].contains(kind) {  // a README, a licence
            others.append(name)
        }
    }

    /// Where a file of this folder lies.
    func url(_ name: String) -> URL { path.appendingPathComponent(name) }

    /// The path without the last extension.
    static func stem(_ name: String) -> String { (name as NSString).deletingPathExtension }

    /// What kohya's scripts read from a folder called `10_name`: repeats, and a caption for pictures without another.
    ///
    /// `name` is a path of a picture below the folder that was given, which itself has no such meaning.
    static func repeats(_ name: String) throws -> (count: Int, caption: String)? {
        let folder = ((name as NSString).deletingLastPathComponent as NSString).lastPathComponent
        let parts = folder.split(separator: "_", maxSplits: 1)
        guard parts.count == 2, parts[0].utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
        guard let count = Int(parts[0]), (1...10_000).contains(count) else {
            throw DatasetError.file(
                (name as NSString).deletingLastPathComponent,
                problem: "a folder of this name repeats its pictures \(parts[0]) times; expected 1 to 10000: rename it")
        }
        return (count, String(parts[1]))
    }
}
