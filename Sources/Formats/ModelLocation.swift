// What kind of model a path names, told by its content; where it is none, the error says what it is instead.

import Foundation

/// Where a base model lies and how it is stored.
public enum ModelLocation: Sendable, Equatable {
    /// A folder with `config.json` and safetensors.
    case huggingFace(folder: URL)
    /// A GGUF file.
    case gguf(URL)
    /// A single safetensors file.
    case safetensors(URL)

    /// Looks at a file or folder.
    public static func identify(_ url: URL) throws -> ModelLocation {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder) else {
            throw FormatsError.system(path: url.shownPath, action: "open", code: ENOENT)
        }
        return isFolder.boolValue ? try folder(url) : try file(url)
    }

    private static func refusal(_ url: URL, _ problem: String, _ remedy: String) -> FormatsError {
        .unsupported(path: url.shownPath, place: nil, problem: problem, remedy: remedy)
    }
}

extension ModelLocation {
    private static func folder(_ url: URL) throws -> ModelLocation {
        let names: Set<String>
        do {
            names = Set(try FileManager.default.contentsOfDirectory(atPath: url.path))
        } catch {
            throw FormatsError.system(path: url.shownPath, action: "list", code: EACCES)
        }
        let hasWeights = names.contains("model.safetensors") || names.contains("model.safetensors.index.json")
        if hasWeights, names.contains("config.json") { return .huggingFace(folder: url) }
        let ggufs = names.filter { $0.lowercased().hasSuffix(".gguf") }.sorted()
        if ggufs.count == 1, !hasWeights { return try file(url.appendingPathComponent(ggufs[0])) }
        let (problem, remedy) = explanation(names, ggufs, hasWeights)
        throw refusal(url, problem, remedy)
    }

    private static func explanation(
        _ names: Set<String>, _ ggufs: [String], _ hasWeights: Bool
    ) -> (problem: String, remedy: String) {
        let pickles = names.filter { $0.hasPrefix("pytorch_model") && $0.contains(".bin") }
        if ggufs.count > 1 {
            let list = ggufs.prefix(5).joined(separator: ", ")
            return ("a folder with \(ggufs.count) GGUF files: \(list.onOneLine)", "name one of them")
        }
        if hasWeights {
            return ("a folder with weights, but without config.json", "fetch the model's config.json, too")
        }
        if names.contains("adapter_config.json") {
            return ("a folder with a LoRA adapter, not a base model", "name the model that the adapter was trained on")
        }
        if names.contains("model_index.json") {
            return ("a folder of an image model (diffusers)", "name a text model")
        }
        if !pickles.isEmpty {
            return (
                "a folder with pickled weights (pytorch_model.bin), which are not read because they can run programs",
                "fetch the model's safetensors files"
            )
        }
        if names.contains("config.json") {
            return ("a folder with config.json, but without model.safetensors", "fetch the weights, too")
        }
        let what = names.isEmpty ? "an empty folder" : "a folder without a model"
        return (what, "name a Hugging Face folder (config.json, model.safetensors, …), a .gguf or a .safetensors file")
    }

    private static func file(_ url: URL) throws -> ModelLocation {
        let file = try MappedFile(url)
        let head = file.withBytes { [UInt8]($0.prefix(512)) }
        if head.starts(with: "GGUF".utf8) { return .gguf(url) }
        if isSafetensors(head, fileSize: file.count) { return .safetensors(url) }
        if url.pathExtension.lowercased() == "safetensors", file.count > 0, head.first != UInt8(ascii: "<"),
            !head.starts(with: "version https://".utf8)
        {
            _ = try SafetensorsFile(url)  // says what is wrong with it
        }
        let (problem, remedy) = explanation(head)
        throw refusal(url, problem, remedy)
    }

    private static func isSafetensors(_ head: [UInt8], fileSize: Int) -> Bool {
        guard head.count > 8, head[8] == UInt8(ascii: "{") else { return false }
        let length = head[..<8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        return length <= UInt64(fileSize - 8)
    }

    private static func explanation(_ head: [UInt8]) -> (problem: String, remedy: String) {
        let again = "fetch the file again"
        if head.isEmpty { return ("the file is empty", again) }
        if head.starts(with: "version https://git-lfs".utf8) {
            return ("a Git LFS pointer, not the file it stands for", "run `git lfs pull` in that repository")
        }
        if let markup = markup(head) { return (markup, "\(again): its address in a browser shows what was sent") }
        if let legacy = legacyGGML(head) {
            return (legacy, "use a GGUF file of this model, or convert it with llama.cpp's convert_llama_ggml_to_gguf")
        }
        if let pickle = pickle(head) {
            return (pickle, "such files can run programs and are not read: use the .safetensors file of this model")
        }
        if let archive = archive(head) { return (archive, "unpack it and name what is in it") }
        if head.allSatisfy({ $0 == 0 }) {
            return ("the file begins with zeros: a download that did not finish?", again)
        }
        if String(bytes: head.prefix(500).dropLast(4), encoding: .utf8) != nil, !head.contains(0) {
            return ("a text file, not a model", "name a .gguf or .safetensors file, or a Hugging Face folder")
        }
        return ("not a model file of a known kind", "name a .gguf or .safetensors file, or a Hugging Face folder")
    }

    private static func markup(_ head: [UInt8]) -> String? {
        let text = String(decoding: head.prefix(256), as: UTF8.self)
            .trimmingCharacters(in: .whitespacesAndNewlines.union(.init(charactersIn: "\u{FEFF}"))).lowercased()
        if text.hasPrefix("<!doctype html") || text.hasPrefix("<html") {
            return "a web page (HTML) saved in place of a model"
        }
        if text.hasPrefix("<?xml") || text.hasPrefix("<error") { return "an XML answer saved in place of a model" }
        return nil
    }

    private static func legacyGGML(_ head: [UInt8]) -> String? {
        guard head.count >= 8 else { return nil }
        let version = head[4..<8].reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        switch String(decoding: head[..<4], as: UTF8.self) {
        case "lmgg": return "a legacy llama.cpp file (GGML)"
        case "fmgg": return "a legacy llama.cpp file (GGMF version \(version))"
        case "tjgg": return "a legacy llama.cpp file (GGJT version \(version))"
        case "algg": return "a legacy llama.cpp adapter (GGLA)"
        default: return nil
        }
    }

    private static func pickle(_ head: [UInt8]) -> String? {
        if head.count > 1, head[0] == 0x80, (2...5).contains(head[1]) { return "a Python pickle (.ckpt, .pt, .bin)" }
        let isZip = head.starts(with: [0x50, 0x4B, 0x03, 0x04])
        guard isZip else { return nil }
        let text = String(decoding: head, as: UTF8.self)
        return text.contains("data.pkl") ? "a PyTorch checkpoint (a zipped pickle: .ckpt, .pt, .bin)" : nil
    }

    private static func archive(_ head: [UInt8]) -> String? {
        let kinds: [(bytes: [UInt8], name: String)] = [
            ([0x50, 0x4B, 0x03, 0x04], "a ZIP archive"), ([0x1F, 0x8B], "a gzip archive"),
            ([0xFD, 0x37, 0x7A, 0x58, 0x5A], "an XZ archive"), ([0x28, 0xB5, 0x2F, 0xFD], "a Zstandard archive"),
            ([0x37, 0x7A, 0xBC, 0xAF], "a 7z archive"), ([0x89, 0x48, 0x44, 0x46], "an HDF5 file (Keras)"),
        ]
        return kinds.first { head.starts(with: $0.bytes) }?.name
    }
}
