// A run's curves and samples for TensorBoard.

import Formats
import Foundation
import Runs

/// Writes each event to an event file of its own session.
public final class TensorBoardLog: TrainingListener {
    private let writer: TensorBoardWriter
    private var prompts: [String: Int] = [:]

    /// - Parameter folder: the run's `logs` folder.
    public init(folder: URL, time: Double = Date().timeIntervalSince1970) throws {
        writer = try TensorBoardWriter(folder: folder, time: time)
    }

    /// The event file.
    public var file: URL { writer.file }

    /// Appends an event's numbers or text; checkpoints leave nothing.
    public func receive(_ event: TrainingEvent) throws -> TrainingDecision {
        switch event.type {
        case .start:
            // What an earlier session did after this step is done again.
            let (next, _) = event.step.addingReportingOverflow(1)
            if event.step > 0 { try append(next, event, .sessionStart) }
        case .step:
            try append(
                event,
                [
                    ("train/loss", event.loss), ("train/learning_rate", event.learningRate),
                    ("train/epoch", event.epoch),
                    ("train/gradient_norm", event.gradientNorm), ("speed/tokens_per_second", event.tokensPerSecond),
                    ("speed/images_per_second", event.imagesPerSecond), ("speed/step_seconds", event.stepSeconds),
                    ("memory_mib", event.memoryMib),
                ])
        case .validation: try append(event, [("validation/loss", event.loss)])
        case .sample: try append(sample: event)
        case .warning, .finish:
            if let message = event.message {
                try append(event.step, event, .text(tag: event.type.rawValue, markdown: Markdown.escaped(message)))
            }
        case .checkpoint: break
        }
        return .proceed
    }

    /// Shows the configuration on TensorBoard's text page.
    public func write(config: [(key: String, value: String)], time: Double = Date().timeIntervalSince1970) throws {
        let rows = config.map { [Markdown.code($0.key), Markdown.escaped($0.value)] }
        let table = Markdown.table([.init(heading: "key"), .init(heading: "value")], rows)
        try writer.append(.init(time: time, step: 0, content: .text(tag: "configuration", markdown: table)))
    }

    private func append(_ event: TrainingEvent, _ values: [(tag: String, value: Double?)]) throws {
        let scalars = values.compactMap { tag, value in value.map { TensorBoardEvent.Scalar(tag, Float($0)) } }
        if !scalars.isEmpty { try append(event.step, event, .scalars(scalars)) }
    }

    private func append(sample event: TrainingEvent) throws {
        guard let text = event.text, let prompt = event.prompt else { return }
        let number = prompts[prompt] ?? prompts.count + 1
        prompts[prompt] = number
        let tag = "samples/\(number)" + (event.name == "base" ? "/base" : "")
        let markdown = "**\(Markdown.escaped(prompt))**\n\n\(Markdown.cell(text))"
        try append(event.step, event, .text(tag: tag, markdown: markdown))
    }

    private func append(_ step: Int, _ event: TrainingEvent, _ content: TensorBoardEvent.Content) throws {
        try writer.append(.init(time: event.time, step: step, content: content))
    }
}
