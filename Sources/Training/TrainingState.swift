// What a checkpoint keeps beside the adapter, so that a run goes on as if it had never stopped.
//
// Data order, dropout and initial values are functions of the seed and the step, so the optimizer's moments and the
// step are all there is to keep.

import Formats
import Foundation
import Torch

/// `training_state.safetensors` of a checkpoint: parameters and moments in fp32, bit for bit.
enum TrainingState {
    private static let name = "training_state.safetensors"

    static func write(
        _ tensors: [(key: String, value: Tensor)], step: Int, metadata: [String: String], to folder: URL
    ) throws {
        let entries = try tensors.map { key, value in
            SafetensorsWriter.Entry(name: key, shape: value.shape, floats: try value.array())
        }
        let url = folder.appendingPathComponent(name)
        try SafetensorsWriter.write(entries, metadata: metadata.merging(["step": "\(step)"]) { $1 }, to: url)
    }

    /// Fills `tensors` from a checkpoint, where every one must be there in its shape; gives the metadata.
    static func read(
        _ tensors: [(key: String, value: Tensor)], step: Int, from folder: URL
    ) throws -> [String: String] {
        let url = folder.appendingPathComponent(name)
        let file: SafetensorsFile
        do { file = try SafetensorsFile(url) } catch { throw TrainingError.unreadable(problem: "\(error)") }
        guard file.metadata["step"] == "\(step)" else {
            throw TrainingError.state(
                path: url.path, problem: "is of step \(file.metadata["step"] ?? "?"), expected \(step)"
            )
        }
        try withoutGradients {
            for (key, value) in tensors {
                let stored = try file.tensor(key)
                guard stored.shape == value.shape else {
                    throw TrainingError.state(
                        path: url.path, problem: "'\(key)' is \(stored.shape), expected \(value.shape)"
                    )
                }
                try value.copy(from: Tensor(stored.floats(), stored.shape))
            }
        }
        return file.metadata
    }
}

/// Why training could not go on.
public enum TrainingError: Error, CustomStringConvertible {
    /// A checkpoint's state is not that of this run.
    case state(path: String, problem: String)
    /// A checkpoint's state cannot be read; `problem` names the file.
    case unreadable(problem: String)
    /// The loss or the gradient of a step is infinite or not a number.
    case notFinite(what: String, step: Int, samples: [String])

    private static let remedy = "remove this checkpoint's folder to go on from the one before"

    public var description: String {
        switch self {
        case .state(let path, let problem):
            "\(path): \(problem); \(Self.remedy)"
        case .unreadable(let problem): "\(problem.prefix { $0 != ";" }); \(Self.remedy)"
        case .notFinite(let what, let step, let samples):
            "step \(step): the \(what) is not a finite number; the checkpoints before it are kept. Its samples: "
                + samples.prefix(8).joined(separator: ", ") + (samples.count > 8 ? " …" : "")
                + ". Try a lower learning_rate, or look at these samples"
        }
    }
}
