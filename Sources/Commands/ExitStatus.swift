// How both programs start and end: one place for exit statuses.

import ArgumentParser
import Foundation
import Runs

/// Ends the program with a status of its own; whatever there was to say has been said.
public struct ExitStatus: Error {
    public let code: Int32

    public init(_ code: Int32) { self.code = code }
}

/// Parses and runs a command: 0 done, 1 failed at work, 2 wrong usage or configuration, 130 interrupted.
public func runCommand(_ root: any ParsableCommand.Type) -> Never {
    do {
        var command = try root.parseAsRoot()
        try command.run()
        exit(0)
    } catch let status as ExitStatus {
        exit(status.code)
    } catch let error as ConfigurationError {
        fail("\(error)", 2)
    } catch let error as RunError {
        fail("\(error)", error.exitStatus)
    } catch {
        let code = root.exitCode(for: error)
        if code == .success {
            print(root.fullMessage(for: error))
            exit(0)
        }
        if code == .validationFailure { fail(root.fullMessage(for: error), 2) }
        fail("\(error)", 1)
    }
}

private func fail(_ message: String, _ code: Int32) -> Never {
    FileHandle.standardError.write(Data("\(message)\n".utf8))
    exit(code)
}
