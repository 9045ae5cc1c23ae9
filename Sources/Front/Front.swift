// `lora`: starts at once. What needs no tensors it does itself; for the rest it becomes `lora-engine`.

import ArgumentParser
import Commands
import Foundation
import Reports
import Runs

@main
struct Front: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lora",
        abstract: "From one YAML file to a trained, tested, documented LoRA adapter.",
        discussion: "  lora train examples/helpdesk.yaml",
        version: Version.text,
        subcommands: [
            Train.self, Generate.self, Sample.self, Plan.self, ReportCommand.self, Doctor.self, VersionCommand.self,
        ]
    )

    static func main() { runCommand(Front.self) }
}

struct Train: ParsableCommand {
    static let configuration = CommandTexts.train
    @OptionGroup var arguments: TrainArguments

    func run() throws {
        // A mistake in the configuration is told before anything is loaded.
        _ = try Configuration.load(arguments.file, overrides: arguments.overrides)
        try Engine.become()
    }
}

struct Generate: ParsableCommand {
    static let configuration = CommandTexts.generate
    @OptionGroup var arguments: GenerateArguments

    func run() throws { try Engine.become() }
}

struct Sample: ParsableCommand {
    static let configuration = CommandTexts.sample
    @OptionGroup var arguments: SampleArguments

    func run() throws { try Engine.become() }
}

struct Plan: ParsableCommand {
    static let configuration = CommandTexts.plan
    @OptionGroup var arguments: PlanArguments

    func run() throws {
        try Configuration.load(arguments.file, overrides: arguments.overrides).refusePictures(for: "plan")
        try Engine.become()
    }
}

struct Doctor: ParsableCommand {
    static let configuration = CommandTexts.doctor
    @OptionGroup var arguments: DoctorArguments

    func run() throws { try Engine.become() }
}

struct ReportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report", abstract: "Write a run's report anew, from what its folder holds.",
        discussion: "  lora report runs/helpdesk")

    @Argument(help: ArgumentHelp("The run's folder.", valueName: "run"))
    var folder: String

    func run() throws {
        let layout = RunLayout(URL(fileURLWithPath: folder, isDirectory: true))
        let files = try Report(layout, path: folder).write(to: layout.folder)
        files.warnings.forEach(Console.say)
        print(files.readme.relativePath)
    }
}

struct VersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "version", abstract: "Say which version this is.")

    func run() { print(Version.text) }
}
