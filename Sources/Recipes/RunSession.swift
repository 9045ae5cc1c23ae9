// One process's share of a run: listeners, the end, the report. Text and pictures share it.

import Formats
import Foundation
import NN
import Reports
import Runs
import Torch
import Training

/// One process's share of a run.
final class RunSession {
    let directory: RunDirectory
    private let configuration: Configuration
    private let device: Device
    private let started = ContinuousClock.now
    private let secondsBefore: Double
    private var listeners: [any TrainingListener] = []

    init(_ directory: RunDirectory, configuration: Configuration, device: Device) {
        (self.directory, self.configuration, self.device) = (directory, configuration, device)
        secondsBefore = directory.facts.seconds
    }

    /// Everyone who hears of the run's events, from now on.
    func listeners(_ plan: TrainerPlan) throws -> [any TrainingListener] {
        let board = try TensorBoardLog(folder: directory.layout.logs)
        try board.write(config: configuration.entries)
        let language = configuration.run.language
        listeners = [
            EventRecorder(directory.events),
            try LogFile(directory.layout.log, language: language, everySteps: configuration.run.loggingSteps),
            board, ConsoleProgress(totalSteps: plan.totalSteps, language: language), InterruptListener(),
        ]
        return listeners
    }

    /// Runs `body` and writes down how it ended, whatever happens.
    func record(_ body: () throws -> TrainingEnd) throws -> TrainingEnd {
        do {
            let end = try body()
            try close(state: end == .done ? "done" : "interrupted")
            return end
        } catch {
            // The error is what matters: a report that cannot be written either must not hide it.
            try? close(state: "failed: \(error)")
            throw error
        }
    }

    /// Writes the adapter as it is now to `checkpoints/`, where it is looked for, and what goes with it beside.
    func publish(adapterOf task: some TrainingTask) throws {
        let folder = directory.checkpoints.folder
        try task.writeAdapter(to: folder.path)
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
        let files = try names.map { ($0, folder.appendingPathComponent($0)) }
            .filter { try $1.resourceValues(forKeys: [.isRegularFileKey]).isRegularFile == true && !$0.hasPrefix(".") }
            .map { try FileFact($1, shownAs: "checkpoints/\($0)") }
        let exports = try task.writeExports(to: directory.layout.folder)
            .map { try FileFact($0, shownAs: $0.lastPathComponent) }
        try directory.updateFacts { $0.outputs = exports + files }
    }

    private func close(state: String) throws {
        let memory = Accelerator.memory(of: device).peak
        try directory.updateFacts { facts in
            facts.state = state
            facts.seconds = secondsBefore + (ContinuousClock.now - started) / .seconds(1)
            facts.peakMemoryMib = max(facts.peakMemoryMib, Double(memory) / 1_048_576)
        }
        let last = try directory.layout.readEvents().last { $0.type == .step }
        var finish = TrainingEvent(.finish, step: last?.step ?? 0, epoch: last?.epoch ?? 0)
        finish.message = state
        for listener in listeners { _ = try listener.receive(finish) }
        _ = try Report(directory.layout).write(to: directory.layout.folder)
    }
}

/// Keeps events in `events.jsonl`.
private final class EventRecorder: TrainingListener {
    private let events: EventLog

    init(_ events: EventLog) { self.events = events }

    func receive(_ event: TrainingEvent) throws -> TrainingDecision {
        try events.append(event)
        return .proceed
    }
}

extension MachineFacts {
    /// This machine and these programs.
    static func current(_ placement: Placement, program: String) -> MachineFacts {
        let processor = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8))?
            .split(separator: "\n").first { $0.hasPrefix("model name") }?
            .split(separator: ":").last.map { $0.trimmingCharacters(in: .whitespaces) }
        var system = utsname()
        uname(&system)
        func text<T>(_ field: T) -> String {
            withUnsafeBytes(of: field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        }
        let device =
            placement.device == .cpu
            ? "CPU, \(Accelerator.threads) threads" + (processor.map { ": \($0)" } ?? "") : "\(placement.device)"
        return MachineFacts(
            device: device, system: "\(text(system.sysname)) \(text(system.machine))", program: program,
            engine: "libtorch \(Accelerator.version)", dtype: "\(placement.dtype)"
        )
    }
}
