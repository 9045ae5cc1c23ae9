// Errors raised by libtorch, in its own words.

import CTorch

/// An error raised by libtorch, with the message it gave.
public enum TorchError: Error, CustomStringConvertible {
    /// A call failed, or was refused before it was made.
    case failed(String)
    /// An allocation failed, on the CPU or on a device.
    case outOfMemory(String)
    /// What was asked of a device that is not there, and what to do.
    case device(String)

    public var description: String {
        switch self {
        case .failed(let message), .device(let message): message
        case .outOfMemory(let message):
            "out of memory: \(message); try a smaller batch_size or max_length, or gradient_checkpointing: true"
        }
    }
}

/// Throws what libtorch says of a call that failed.
func check(_ status: CTorchStatus) throws {
    guard status != CTORCH_OK else { return }
    let message = String(cString: ctorch_last_error())
    throw status == CTORCH_OUT_OF_MEMORY ? TorchError.outOfMemory(message) : TorchError.failed(message)
}
