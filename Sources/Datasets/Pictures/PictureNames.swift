// Finds the picture that a row of a metadata file means.

import Foundation

/// The pictures of a folder by their names.
struct PictureNames {
    private let folder: String
    private let all: Set<String>
    private let byLastPart: [String: [String]]
    private let byStem: [String: [String]]

    init(_ folder: PictureFolder) {
        self.folder = folder.path.path
        all = Set(folder.pictures)
        byLastPart = Dictionary(grouping: folder.pictures) { ($0 as NSString).lastPathComponent }
        byStem = Dictionary(grouping: folder.pictures) { PictureFolder.stem(($0 as NSString).lastPathComponent) }
    }

    /// The picture that `name` means in a metadata file of the folder `base`; none, one or several.
    ///
    /// A name may be a path from that folder, from the folder given, or from elsewhere as long as its end fits; it may
    /// lack the extension.
    func pictures(_ name: String, base: String) -> [String] {
        var name = name.replacingOccurrences(of: "\\", with: "/")
        while name.hasPrefix("./") { name.removeFirst(2) }
        if let exact = [base.isEmpty ? name : "\(base)/\(name)", name].first(where: all.contains) { return [exact] }
        let last = (name as NSString).lastPathComponent
        func ends(_ a: String, _ b: String) -> Bool { a == b || a.hasSuffix("/" + b) || b.hasSuffix("/" + a) }
        if let found = byLastPart[last] { return found.filter { ends($0, name) } }
        return (byStem[last] ?? []).filter { ends(PictureFolder.stem($0), name) }
    }

    /// What to say of a name that means no picture, or more than one.
    func problem(_ name: String, _ found: [String]) -> String {
        guard found.isEmpty else {
            return "'\(name.excerpt(80))' could be \(found.prefix(3).joined(separator: " or ")); write its path"
        }
        let similar = all.filter { $0.lowercased().hasSuffix((name as NSString).lastPathComponent.lowercased()) }.min()
        return "there is no picture '\(name.excerpt(80))' in \(folder)"
            + (similar.map { "; did you mean '\($0)'?" } ?? "; correct the name, add the picture, or remove the row")
    }
}
