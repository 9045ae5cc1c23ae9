// A folder's safetensors: one file, or several ("shards") with an index that says which tensor is where.

import Foundation

/// The tensors of a folder as Hugging Face lays it out.
public struct SafetensorsFolder: Sendable {
    /// The folder.
    public let url: URL
    /// The files that hold the tensors, in the order of their names.
    public let files: [MappedFile]
    /// The tensors of all files by name.
    public let tensors: [String: StoredTensor]
    /// The metadata of all files; the first file that has a key wins.
    public let metadata: [String: String]

    /// Opens `<stem>.safetensors`, or else the files that `<stem>.safetensors.index.json` lists; where there is neither,
    /// those of the first of `variants`, as diffusers calls them: `<stem>.fp16.safetensors`.
    ///
    /// - Parameter pickles: the stem of PyTorch's files, `<stem>.bin`, which are read in the same way where there are no
    ///   safetensors; nil: they are not.
    public init(_ url: URL, stem: String = "model", variants: [String] = [], pickles: String? = nil) throws {
        func first(_ stem: String, _ suffix: String) throws -> [Part]? {
            for variant in [""] + variants.map({ ".\($0)" }) {
                if let parts = try Self.opened(url, stem, suffix, variant: variant) { return parts }
            }
            return nil
        }
        guard let opened = try first(stem, "safetensors") ?? pickles.flatMap({ try first($0, "bin") }) else {
            throw Self.absence(url, stem, readsPickles: pickles != nil)
        }
        self.url = url
        files = opened.map(\.file)
        tensors = try Self.joined(opened)
        metadata = opened.reduce(into: [:]) { $0.merge($1.metadata) { first, _ in first } }
    }

    /// One file of the folder.
    private struct Part {
        let file: MappedFile
        let tensors: [String: StoredTensor]
        var metadata: [String: String] = [:]

        init(_ url: URL, suffix: String) throws {
            if suffix == "safetensors" {
                let opened = try SafetensorsFile(url)
                (file, tensors, metadata) = (opened.file, opened.tensors, opened.metadata)
            } else {
                let opened = try TorchCheckpoint(url)
                (file, tensors) = (opened.file, opened.tensors)
            }
        }
    }

    /// Nil where the folder has neither the file nor an index of this variant.
    private static func opened(_ url: URL, _ stem: String, _ suffix: String, variant: String) throws -> [Part]? {
        let whole = url.appendingPathComponent("\(stem)\(variant).\(suffix)")
        let index = url.appendingPathComponent("\(stem).\(suffix).index\(variant).json")
        let exists = FileManager.default.fileExists(atPath:)
        if exists(whole.path) { return [try Part(whole, suffix: suffix)] }
        return exists(index.path) ? try shards(index, in: url, suffix) : nil
    }

    private static func absence(_ url: URL, _ stem: String, readsPickles: Bool) -> FormatsError {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: url.path)) ?? []
        let pickle = names.sorted().first { $0.hasSuffix(".bin") && !readsPickles }
        let beside = pickle.map { ", but \($0.onOneLine), which is not read because it can run programs" } ?? ""
        return FormatsError.missing(
            path: url.shownPath, place: "\(stem).safetensors",
            problem: "the folder has neither this file nor \(stem).safetensors.index.json\(beside)",
            remedy: "fetch the model's safetensors files into it")
    }

    private struct Index: Decodable {
        let weight_map: [String: String]
    }

    private static func shards(_ index: URL, in folder: URL, _ suffix: String) throws -> [Part] {
        let map = try weightMap(index)
        let opened = try Set(map.values).sorted().map { name in
            guard !name.isEmpty, !name.contains("/"), !name.contains("\\"), name != "..", name != "." else {
                throw FormatsError.damaged(
                    path: index.shownPath, place: "weight_map",
                    problem: "'\(name.onOneLine)' is not the name of a file in this folder")
            }
            return (name: name, file: try shard(folder.appendingPathComponent(name), suffix, index: index))
        }
        let files = Dictionary(opened.map { ($0.name, $0.file) }) { first, _ in first }
        let absent = map.filter { files[$0.value]?.tensors[$0.key] == nil }.sorted { $0.key < $1.key }
        if let first = absent.first {
            let others = absent.count == 1 ? "" : " (nor \((absent.count - 1).grouped) others)"
            throw FormatsError.damaged(
                path: index.shownPath, place: first.key,
                problem: "\(first.value) does not hold this tensor\(others), though the index says so")
        }
        return opened.map(\.file)
    }

    private static func weightMap(_ index: URL) throws -> [String: String] {
        let data = try MappedFile(index).withBytes { Data($0) }
        do {
            return try JSONDecoder().decode(Index.self, from: data).weight_map
        } catch {
            throw FormatsError.damaged(
                path: index.shownPath, place: nil,
                problem: "not an index: an object 'weight_map' from tensor names to file names expected")
        }
    }

    private static func shard(_ url: URL, _ suffix: String, index: URL) throws -> Part {
        do {
            return try Part(url, suffix: suffix)
        } catch FormatsError.system(let path, _, ENOENT) {
            throw FormatsError.missing(
                path: path, place: index.lastPathComponent, problem: "the index lists this file, but it is not there",
                remedy: "fetch it into the folder")
        }
    }

    private static func joined(_ files: [Part]) throws -> [String: StoredTensor] {
        var tensors: [String: StoredTensor] = [:]
        for file in files {
            for (name, tensor) in file.tensors {
                guard let other = tensors.updateValue(tensor, forKey: name) else { continue }
                throw FormatsError.damaged(
                    path: file.file.url.shownPath, place: name,
                    problem: "\(other.file.url.lastPathComponent) holds a tensor of this name, too")
            }
        }
        return tensors
    }
}
