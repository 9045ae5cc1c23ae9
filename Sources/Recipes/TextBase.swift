// A text base model on disk: where it lies, its tokenizer and its files, before any tensor is made.

import Datasets
import Formats
import Foundation
import Models
import Runs
import Tokenizers

/// A base model that has been found, not loaded: what its headers say.
public struct TextBase {
    /// A GGUF file or a Hugging Face folder.
    public let url: URL
    /// The model's own tokenizer.
    public let tokenizer: Tokenizer
    /// The model's dimensions.
    public let config: LlamaConfig
    /// GGUF's `general.name` (often that of a conversion), or the folder's.
    let name: String
    /// Bytes of all tensors as they are stored.
    let bytes: Int
    /// Element types of the matrices, most bytes first.
    let types: [ElementType]
    private let location: ModelLocation

    /// Reads the tokenizer; throws where `url` is no model, or a single safetensors file.
    public init(_ url: URL) throws {
        self.url = url
        location = try ModelLocation.identify(url)
        let tensors: [StoredTensor]
        switch location {
        case .gguf(let file):
            let gguf = try GGUFFile(file)
            (tokenizer, config) = (try Tokenizer(gguf: gguf), try LlamaConfig(gguf: gguf))
            (tensors, name) = (
                Array(gguf.tensors.values), gguf.metadata["general.name"]?.string ?? url.lastPathComponent
            )
        case .huggingFace(let folder):
            (tokenizer, config) = (try Tokenizer(folder: folder), try LlamaConfig(folder: folder))
            (tensors, name) = (Array(try SafetensorsFolder(folder).tensors.values), url.lastPathComponent)
        case .safetensors(let file):
            throw ModelError.config(
                file: file.path, problem: "a single safetensors file says nothing of its model; name its folder")
        }
        bytes = tensors.reduce(0) { $0 + $1.byteCount }
        let sizes = tensors.filter { $0.shape.count > 1 }
            .reduce(into: [ElementType: Int]()) { $0[$1.type, default: 0] += $1.byteCount }
        types = sizes.sorted { ($1.value, $0.key.name) < ($0.value, $1.key.name) }.map(\.key)
    }

    /// The types of the matrices, as `Q4_1 + Q8_0`.
    var storage: String { types.map(\.name).joined(separator: " + ") }

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

    /// What a report says of the model.
    func facts(_ model: Llama, files: [FileFact]) -> BaseFacts {
        BaseFacts(
            name: name, architecture: config.architecture,
            parameters: model.slots().reduce(0) { $0 + $1.slot.shape.reduce(1, *) }, storage: storage, files: files)
    }
}

extension FileFact {
    /// Reads and hashes a file, unless its hash is known.
    init(_ url: URL, shownAs path: String? = nil, sha256 known: String? = nil) throws {
        self.init(
            path: path ?? url.relativePath, bytes: try MappedFile(url).count,
            sha256: try known ?? Formats.sha256(of: url))
    }
}
