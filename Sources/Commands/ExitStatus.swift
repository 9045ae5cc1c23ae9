// How both programs start and end: one place for exit statuses.

import ArgumentParser
import Foundation
import Runs

/// Ends the program with a status of its own; whatever there was to say has been said.
public struct ExitStatus: Error {
    /// The program's exit status.
    public let code: Int32

    /// Makes an error that ends the program with this status and without a message.
    public init(_ code: Int32) { self.code = code }
}

/// Parses and runs a command: 0 done, 1 failed at work, 2 wrong usage or configuration, 130 interrupted.
public func runCommand(_ root: any ParsableCommand.Type) -> Never {
    do {
        if let word = CommandLine.arguments.dropFirst().first, !word.hasPrefix("-") { try expect(word, of: root) }
        var command = try root.parseAsRoot()
        try command.run()
        try Console.finish()
        exit(0)
    } catch let status as ExitStatus {
        exit(status.code)
    } catch let error as ConfigurationError {
        fail("\(error)", 2)
    } catch let error as UsageError {
        fail("\(error)", 2)
    } catch let error as RunError {
        fail("\(error)", error.exitStatus)
    } catch {
        let code = root.exitCode(for: error)
        if code == .success {
            print(root.fullMessage(for: error))
            if fflush(nil) == 0 { exit(0) }
            fail("\(OutputError(code: errno))", 1)
        }
        if code == .validationFailure { fail(root.fullMessage(for: error), 2) }
        fail("\(error)", 1)
    }
}

/// Throws where a word is none of the commands; ArgumentParser would call it an unexpected argument.
private func expect(_ word: String, of root: any ParsableCommand.Type) throws {
    let names = root.configuration.subcommands.map { $0._commandName } + ["help"]
    guard !names.contains(word) else { return }
    let advice = nearest(to: word, among: names).map { "did you mean '\($0)'?" } ?? "'lora --help' lists them"
    throw UsageError(problem: "unknown command '\(word)'; \(advice)")
}

private func fail(_ message: String, _ code: Int32) -> Never {
    Console.say(message)
    exit(code)
}
