// A text base model on disk: where it lies, its tokenizer and its files, before any tensor is made.

import Datasets
import Formats
import Foundation
import Models
import Runs
import Tokenizers

/// A base model that has been found, not loaded.
public struct TextBase {
    public let url: URL
    public let tokenizer: Tokenizer
    private let location: ModelLocation

    public init(_ url: URL) throws {
        self.url = url
        location = try ModelLocation.identify(url)
        switch location {
        case .gguf(let file): tokenizer = try Tokenizer(gguf: GGUFFile(file))
        case .huggingFace(let folder): tokenizer = try Tokenizer(folder: folder)
        case .safetensors(let file):
            throw ModelError.config(
                file: file.path, problem: "a single safetensors file says nothing of its model; name its folder"
            )
        }
    }

    /// The files that decide which tokens there are and what the model computes of them.
    public func files() throws -> [FileFact] {
        switch location {
        case .gguf(let file), .safetensors(let file): [try FileFact(file)]
        case .huggingFace(let folder):
            try (["config.json"] + Tokenizer.fileNames).map { folder.appendingPathComponent($0) }
                .filter { FileManager.default.fileExists(atPath: $0.path) }.map { try FileFact($0) }
                + SafetensorsFolder(folder).files.map { try FileFact($0.url) }
        }
    }

    /// What a report says of the model. GGUF's own `general.name` is often that of a conversion, so the file's is taken.
    public func facts(_ model: Llama, files: [FileFact]) throws -> BaseFacts {
        let slots = model.slots()
        var name = url.lastPathComponent
        if case .gguf(let file) = location, let given = try GGUFFile(file).metadata["general.name"]?.string {
            name = given
        }
        return BaseFacts(
            name: name, architecture: model.config.architecture,
            parameters: slots.reduce(0) { $0 + $1.slot.shape.reduce(1, *) }, storage: try storage(), files: files
        )
    }

    /// The element types of the matrices, most bytes first: `Q4_1 + Q8_0`.
    private func storage() throws -> String {
        let tensors: [StoredTensor] =
            switch location {
            case .gguf(let file): Array(try GGUFFile(file).tensors.values)
            case .huggingFace(let folder): Array(try SafetensorsFolder(folder).tensors.values)
            case .safetensors: []
            }
        let bytes = tensors.filter { $0.shape.count > 1 }
            .reduce(into: [:]) { $0[$1.type.name, default: 0] += $1.byteCount }
        return bytes.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map(\.key).joined(separator: " + ")
    }
}

extension FileFact {
    /// Reads and hashes a file.
    init(_ url: URL, shownAs path: String? = nil) throws {
        self.init(
            path: path ?? url.relativePath, bytes: try MappedFile(url).count, sha256: try Formats.sha256(of: url)
        )
    }
}
