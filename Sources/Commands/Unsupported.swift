// What a configuration may ask for that this version does not do.

import Runs

extension Configuration {
    /// Throws where the run cannot be done by this version, before anything is loaded.
    public func refuseUnsupported() throws {
        guard model.taskType == .textGeneration else {
            throw UsageError(
                problem: "task_type text-to-image: training on pictures is not in this version; it trains on text")
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
