// `lora-engine`: the commands that compute. `lora` becomes this program; nobody needs to start it by name.

import ArgumentParser
import Commands
import Foundation
import Recipes
import Runs

@main
struct EngineMain: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lora", version: Version.text,
        subcommands: [Train.self, Generate.self, Sample.self, Plan.self, Doctor.self]
    )

    static func main() { runCommand(EngineMain.self) }
}

struct Train: ParsableCommand {
    static let configuration = CommandTexts.train
    @OptionGroup var arguments: TrainArguments

    func run() throws {
        let configuration = try Configuration.load(arguments.file, overrides: arguments.overrides)
        let command = (["./lora"] + CommandLine.arguments.dropFirst().map(\.shellWord)).joined(separator: " ")
        Interrupt.listen()
        let recipe = FineTune(configuration, command: command, program: Version.text, say: Console.say)
        if try recipe.run() == .interrupted {
            Console.say("stopped; the same command goes on from what is saved")
            throw ExitStatus(130)
        }
    }
}

struct Generate: ParsableCommand {
    static let configuration = CommandTexts.generate
    @OptionGroup var arguments: GenerateArguments

    func run() throws { try GenerateText(arguments).run() }
}

struct Sample: ParsableCommand {
    static let configuration = CommandTexts.sample
    @OptionGroup var arguments: SampleArguments

    func run() throws { try SamplePictures(arguments).run() }
}

struct Plan: ParsableCommand {
    static let configuration = CommandTexts.plan
    @OptionGroup var arguments: PlanArguments

    func run() throws {
        let configuration = try Configuration.load(arguments.file, overrides: arguments.overrides)
        let plan = try TextPlan(configuration)
        print(arguments.json ? try plan.json : plan.text)
    }
}

struct Doctor: ParsableCommand {
    static let configuration = CommandTexts.doctor
    @OptionGroup var arguments: DoctorArguments

    func run() throws {
        let diagnosis = Diagnosis(configurationFile: arguments.file)
        print(arguments.json ? try diagnosis.json : diagnosis.text)
        if !diagnosis.isHealthy { throw ExitStatus(1) }
    }
}
