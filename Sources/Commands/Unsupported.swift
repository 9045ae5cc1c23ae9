// What a configuration may ask for that this version does not do.

import Runs

extension Configuration {
    /// Throws where a command knows runs over text only.
    public func refusePictures(for command: String) throws {
        guard model.taskType == .textGeneration else {
            throw UsageError(
                problem: "task_type text-to-image: lora \(command) knows runs over text only so far; lora train checks "
                    + "everything before its first step")
        }
    }
}

/// Something asked for that makes no sense, or that this version does not do.
public struct UsageError: Error, CustomStringConvertible {
    let problem: String

    /// Makes an error; `problem` is the whole message, on one line, with what to do.
    public init(problem: String) { self.problem = problem }

    public var description: String { problem }
}
