// Reads everything in a model file, so that damage anywhere is met.

import Formats
import Foundation

/// A reader under test.
enum ReaderUnderTest: String, CaseIterable, Sendable {
    case safetensors
    case gguf
    case torch

    /// Opens the file and reads all of it; true if it was accepted.
    func accepts(_ url: URL) throws -> Bool {
        do {
            switch self {
            case .safetensors: try readAll(SafetensorsFile(url).tensors)
            case .gguf: try readAll(GGUFFile(url))
            case .torch: try readAll(TorchCheckpoint(url).tensors)
            }
            return true
        } catch let error as FormatsError {
            let line = "\(error)"
            guard line.contains("; "), !line.contains(where: \.isNewline), line.utf8.count < 2000 else {
                throw UnreadableMessage(message: line)
            }
            return false
        }
    }

    private func readAll(_ file: GGUFFile) throws {
        for value in file.metadata.values {
            guard let strings = value.strings else { continue }
            for string in strings { _ = string.utf8.count }
        }
        try readAll(file.tensors)
    }

    private func readAll(_ tensors: [String: StoredTensor]) throws {
        for tensor in tensors.values { _ = try tensor.floats() }
    }
}

/// An error message that is not one line with a remedy.
struct UnreadableMessage: Error {
    let message: String
}

/// Writes a new file: some file systems wait for the disk where one is overwritten.
func replace(_ url: URL, with data: Data) throws {
    unlink(url.path)
    try data.write(to: url)
}
