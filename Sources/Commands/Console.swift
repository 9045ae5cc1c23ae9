// What programs say: lines on standard error, which never fail, and answers on standard output, whose loss is told.

import Foundation

/// The two streams of a command.
public enum Console {
    /// A line on standard error; nobody may be listening any more.
    public static func say(_ line: String) {
        try? FileHandle.standardError.write(contentsOf: Data("\(line)\n".utf8))
    }

    /// Text on standard output, at once.
    public static func write(_ text: String) throws {
        do {
            try FileHandle.standardOutput.write(contentsOf: Data(text.utf8))
        } catch {
            throw OutputError(code: errno)
        }
    }

    /// Makes sure that all that was printed went out.
    static func finish() throws {
        if fflush(nil) != 0 { throw OutputError(code: errno) }
    }
}

/// Why an answer did not go out.
struct OutputError: Error, CustomStringConvertible {
    let code: Int32

    var description: String {
        "standard output: cannot be written: \(String(cString: strerror(code)).lowercased()); the answer is incomplete"
    }
}
