// The hashes by which programs of the web recognise models and adapters.
// As computed by https://github.com/kohya-ss/sd-scripts/blob/main/library/train_util.py

import Formats
import Foundation

/// Hashes in `ss_…` and `sshs_…` metadata.
public enum KohyaHash {
    /// The 64 KiB after the first MiB, of which the short hash is made.
    private static let window = 0x100000..<0x110000

    /// The short hash of a model's file, 8 hexadecimal digits; `IsADirectory` for a folder, as kohya writes.
    public static func short(of url: URL) throws -> String {
        var isFolder: ObjCBool = false
        if FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder), isFolder.boolValue {
            return "IsADirectory"
        }
        var hash = SHA256()
        try MappedFile(url).withBytes { hash.add($0, within: window) }
        return String(hash.hexadecimal().prefix(8))
    }

    /// `sshs_model_hash`, over the tensors, and `sshs_legacy_hash`, over a part of the file as it is with `ss_…` alone.
    static func ofAdapter(
        _ entries: [SafetensorsWriter.Entry], _ metadata: [String: String], for url: URL
    ) throws -> [String: String] {
        var (model, legacy, position) = (SHA256(), SHA256(), 0)
        let kept = metadata.filter { $0.key.hasPrefix("ss_") }
        try SafetensorsWriter.serialize(entries, metadata: kept, for: url) { data in
            data.withUnsafeBytes { bytes in
                if position > 0 { model.add(bytes) }
                legacy.add(bytes, within: window, from: position)
            }
            position += data.count
        }
        return ["sshs_model_hash": model.hexadecimal(), "sshs_legacy_hash": String(legacy.hexadecimal().prefix(8))]
    }
}

extension SHA256 {
    /// Adds those of `bytes`, the first of which is at `position` of a file, that are within `range` of the file.
    fileprivate mutating func add(_ bytes: UnsafeRawBufferPointer, within range: Range<Int>, from position: Int = 0) {
        let part = range.clamped(to: position..<position + bytes.count)
        guard !part.isEmpty else { return }
        add(UnsafeRawBufferPointer(rebasing: bytes[(part.lowerBound - position)..<(part.upperBound - position)]))
    }
}
