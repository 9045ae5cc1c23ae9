// Runs the built `lora` as a user does: a process with arguments, a working folder, an exit status and two streams.

import Foundation
import TestSupport
import Testing

/// What a run of `lora` left.
struct ProgramResult {
    let status: Int32
    let output: String
    let errors: String

    var errorLines: [Substring] { errors.split(separator: "\n") }
}

/// The program, found beside the test bundle or in this checkout's build folder.
func programPath() throws -> String {
    let bundle = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath().deletingLastPathComponent()
    let own = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
    let checkout = goldens.deletingLastPathComponent().deletingLastPathComponent()
    let folders = [bundle, own, checkout.appendingPathComponent(".build/release")]
    let found = folders.map { $0.appendingPathComponent("lora").path }
        .first { FileManager.default.isExecutableFile(atPath: $0) }
    return try #require(found, "no built `lora` beside the tests; run ./test")
}

/// Runs `lora` with `arguments` in `folder`. Streams go to files, so that no pipe can fill.
func lora(_ arguments: String..., in folder: URL) throws -> ProgramResult { try lora(arguments, in: folder) }

func lora(_ arguments: [String], in folder: URL) throws -> ProgramResult {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: try programPath())
    process.arguments = arguments
    process.currentDirectoryURL = folder
    process.environment = ProcessInfo.processInfo.environment.merging(["COLUMNS": "80"]) { $1 }
    let names = [".output", ".errors"].map { folder.appendingPathComponent("\($0)-\(UUID().uuidString)") }
    for name in names { FileManager.default.createFile(atPath: name.path, contents: nil) }
    defer { for name in names { try? FileManager.default.removeItem(at: name) } }
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = try FileHandle(forWritingTo: names[0])
    process.standardError = try FileHandle(forWritingTo: names[1])
    try process.run()
    process.waitUntilExit()
    let texts = try names.map { try String(contentsOf: $0, encoding: .utf8) }
    return ProgramResult(status: process.terminationStatus, output: texts[0], errors: texts[1])
}

/// A folder with a tiny chat model's path, six questions and a configuration `run.yaml`, to which `lines` are added.
func withTinyRun<R>(_ lines: String = "", _ body: (URL) throws -> R) throws -> R {
    try withTemporaryFolder { folder in
        let records = (1...6).map { #"{"instruction": "What is \#($0)?", "output": "It is the number \#($0)."}"# }
        try write(records.joined(separator: "\n") + "\n", to: "data.jsonl", in: folder)
        let configuration = """
            base_model: \(goldens.appendingPathComponent("tiny-chat").path)
            train_data: data.jsonl
            output_dir: runs/tiny
            batch_size: 2
            epochs: 1
            device: cpu
            \(lines)

            """
        try write(configuration, to: "run.yaml", in: folder)
        return try body(folder)
    }
}

func write(_ text: String, to name: String, in folder: URL) throws {
    try Data(text.utf8).write(to: folder.appendingPathComponent(name))
}

/// Starts training and kills it with SIGKILL once it has saved `count` checkpoints.
func killWhenSaved(_ count: Int, in folder: URL, run: String) throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: try programPath())
    process.arguments = ["train", "run.yaml"]
    process.currentDirectoryURL = folder
    process.standardError = FileHandle.nullDevice
    try process.run()
    let checkpoints = folder.appendingPathComponent("\(run)/checkpoints").path
    while process.isRunning {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: checkpoints)) ?? []
        if names.filter({ $0.hasPrefix("step-") }).count >= count { break }
        sched_yield()
    }
    kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
}
