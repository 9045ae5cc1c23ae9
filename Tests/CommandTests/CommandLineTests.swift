// The command line as a whole: help, usage errors, exit statuses; no model is needed for any of it.

import Commands
import Foundation
import TestSupport
import Testing

@Suite("The command line")
struct CommandLineTests {
    @Test(
        "help is what the golden texts say", arguments: ["", "train", "generate", "sample", "plan", "report", "doctor"])
    func help(_ command: String) throws {
        try withTemporaryFolder { folder in
            let result =
                command.isEmpty ? try lora("--help", in: folder) : try lora(command, "--help", in: folder)
            #expect(result.status == 0)
            #expect(result.errors.isEmpty)
            let name = command.isEmpty ? "lora" : command
            let golden = goldens.appendingPathComponent("commands/\(name).txt")
            let expected = try String(contentsOf: golden, encoding: .utf8)
            #expect(result.output == expected, "if this is meant: ./lora \(command) --help > \(golden.path)")
        }
    }

    @Test("version names the version")
    func version() throws {
        try withTemporaryFolder { folder in
            for result in [try lora("version", in: folder), try lora("--version", in: folder)] {
                #expect(result.status == 0)
                #expect(result.output.hasPrefix("lora \(Version.number)"))
                #expect(result.output.split(separator: "\n").count == 1)
            }
        }
    }

    @Test("an answer that cannot be written is told, not lost in silence")
    func fullDevice() throws {
        try withTemporaryFolder { folder in
            for command in ["version", "--help", "train --help"] {
                let process = Process()
                process.executableURL = URL(fileURLWithPath: "/bin/sh")
                process.arguments = ["-c", "'\(try programPath())' \(command) > /dev/full 2> errors"]
                process.currentDirectoryURL = folder
                try process.run()
                process.waitUntilExit()
                #expect(process.terminationStatus == 1)
                let errors = try String(contentsOf: folder.appendingPathComponent("errors"), encoding: .utf8)
                #expect(errors.hasPrefix("standard output: cannot be written: no space left on device"))
            }
        }
    }

    @Test("an override wins over a mistake in the file")
    func overrideOfMistake() throws {
        try withTinyRun("learning_rate: fast") { folder in
            let (wrong, mended) = (
                try lora("plan", "run.yaml", in: folder),
                try lora("plan", "run.yaml", "--set", "learning_rate=1e-3", in: folder)
            )
            #expect(wrong.status == 2 && mended.status == 0)
        }
    }

    @Test("an unknown command is wrong usage")
    func unknownCommand() throws {
        try withTemporaryFolder { folder in
            let result = try lora("trian", "run.yaml", in: folder)
            #expect(result.status == 2)
            #expect(result.errors == "unknown command 'trian'; did you mean 'train'?\n")
            #expect(result.output.isEmpty)
        }
    }

    @Test(
        "an unknown option is wrong usage, for every command",
        arguments: [
            ["train"], ["train", "a.yaml"], ["plan", "a.yaml"], ["generate", "--base", "b"], ["doctor"],
            ["report", "r"],
        ])
    func unknownOption(_ command: [String]) throws {
        try withTemporaryFolder { folder in
            let result = try lora(command + ["--bogus"], in: folder)
            #expect(result.status == 2)
            #expect(result.errors.contains("'--bogus'"), "\(result.errors)")
            #expect(result.output.isEmpty)
        }
    }

    @Test("a configuration that is not there is named, in one line", arguments: ["train", "plan"])
    func missingConfiguration(_ command: String) throws {
        try withTemporaryFolder { folder in
            let result = try lora(command, "nowhere.yaml", in: folder)
            #expect(result.status == 2)
            #expect(result.errors == "nowhere.yaml: there is no such file; give the path of a YAML file\n")
            #expect(result.output.isEmpty)
        }
    }

    @Test("a mistyped key is told with line, column and the key that was meant", arguments: ["train", "plan"])
    func mistypedKey(_ command: String) throws {
        try withTinyRun("learning_rat: 1e-3") { folder in
            let result = try lora(command, "run.yaml", in: folder)
            #expect(result.status == 2)
            #expect(result.errorLines.count == 1)
            #expect(result.errors.hasPrefix("run.yaml:7:1: "))
            #expect(result.errors.contains("learning_rate"))
            #expect(!FileManager.default.fileExists(atPath: folder.appendingPathComponent("runs").path))
        }
    }

    @Test("every problem of a configuration is told at once, by line")
    func allProblems() throws {
        try withTinyRun("lora_rank: many\nepoch: 3\nmax_length: -1") { folder in
            let result = try lora("train", "run.yaml", in: folder)
            #expect(result.status == 2)
            let places = result.errorLines.map { $0.split(separator: " ").first ?? "" }
            #expect(places.map { $0.hasPrefix("run.yaml:") } == [true, true, true])
            #expect(places.map { $0.split(separator: ":").dropFirst().first } == ["7", "8", "9"])
        }
    }

    @Test("a mistake in an override is told as the command line's")
    func badOverride() throws {
        try withTinyRun { folder in
            let result = try lora("train", "run.yaml", "--set", "lora_rnak=4", in: folder)
            #expect(result.status == 2)
            #expect(result.errorLines.count == 1)
            #expect(result.errors.hasPrefix("command line: "))
            #expect(result.errors.contains("lora_rank"))
        }
    }

    @Test("a base model that is not there is an error of the configuration")
    func missingModel() throws {
        try withTinyRun { folder in
            let result = try lora("train", "run.yaml", "--set", "base_model=nowhere.gguf", in: folder)
            #expect(result.status == 2)
            #expect(result.errorLines.count == 1)
            #expect(result.errors.contains("nowhere.gguf"))
        }
    }

    @Test("a report on a folder without a run is refused, and nothing is written there")
    func reportOnNothing() throws {
        try withTemporaryFolder { folder in
            try FileManager.default.createDirectory(
                at: folder.appendingPathComponent("empty"), withIntermediateDirectories: true)
            let result = try lora("report", "empty", in: folder)
            #expect(result.status == 2)
            #expect(result.errorLines.count == 1)
            #expect(result.errors.hasPrefix("empty"))
            #expect(result.output.isEmpty)
            let inside = try FileManager.default.contentsOfDirectory(
                atPath: folder.appendingPathComponent("empty").path)
            #expect(inside.isEmpty)
        }
    }

    @Test("values that make no sense are wrong usage", arguments: ["--temperature=-1", "--top-p=0", "--max-tokens=0"])
    func badValues(_ option: String) throws {
        try withTemporaryFolder { folder in
            let result = try lora("generate", "--base", "nowhere.gguf", "--prompt", "x", option, in: folder)
            #expect(result.status == 2)
            #expect(result.errors.contains(option.split(separator: "=")[0]))
        }
    }

    @Test("a model that cannot be read fails at work, in one line")
    func unreadableModel() throws {
        try withTemporaryFolder { folder in
            try write("GGUF but not really", to: "broken.gguf", in: folder)
            let result = try lora("generate", "--base", "broken.gguf", "--prompt", "x", in: folder)
            #expect(result.status == 1)
            #expect(result.errorLines.count == 1)
            #expect(result.errors.contains("broken.gguf: "))
            #expect(result.output.isEmpty)
        }
    }
}
