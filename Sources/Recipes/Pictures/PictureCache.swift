// Latents and text states on disk, so that a picture is encoded once and not in every run.

import Formats
import Foundation
import Runs

/// Tensors that are kept under a hash of everything they were computed from: what is found is never stale, and many
/// runs may share one folder.
struct PictureCache: Sendable {
    private let folder: URL

    /// - Parameter path: the configuration's `cache_dir`; nil: the user's cache folder.
    init(_ path: String?) throws {
        let environment = ProcessInfo.processInfo.environment
        let home =
            environment["XDG_CACHE_HOME"].flatMap { $0.hasPrefix("/") ? $0 : nil } ?? "\(NSHomeDirectory())/.cache"
        folder = URL(fileURLWithPath: path ?? "\(home)/lora", isDirectory: true)
        do {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        } catch {
            throw CacheError(folder: folder.relativePath, reason: error.localizedDescription)
        }
        guard FileManager.default.isWritableFile(atPath: folder.path) else {
            throw CacheError(folder: folder.relativePath, reason: "no permission to write there")
        }
    }

    /// What is kept under a hash of `parts`, if it is whole.
    func find(_ kind: String, _ parts: [String]) -> SafetensorsFile? { try? SafetensorsFile(url(kind, parts)) }

    /// Keeps tensors under a hash of `parts`.
    func keep(_ kind: String, _ parts: [String], _ entries: [SafetensorsWriter.Entry]) throws {
        let url = url(kind, parts)
        do {
            try FileManager.default.createDirectory(
                at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            try SafetensorsWriter.write(entries, to: url)
        } catch {
            throw CacheError(folder: folder.relativePath, reason: "\(error)")
        }
    }

    private func url(_ kind: String, _ parts: [String]) -> URL {
        let hash = sha256(of: Data(parts.joined(separator: "\n").utf8))
        return folder.appendingPathComponent("\(kind)/\(hash.prefix(2))/\(hash).safetensors")
    }
}

/// The cache cannot be used.
struct CacheError: Error, CustomStringConvertible {
    let folder, reason: String
    var description: String {
        "\(folder): nothing can be kept there: \(reason); free some space, or name another folder with cache_dir:"
    }
}
