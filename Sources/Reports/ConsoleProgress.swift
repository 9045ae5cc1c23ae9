// The progress of a run on the console: on a terminal one live line below the messages, elsewhere plain lines.

import Foundation
import Runs

/// Shows how a run goes on. It never fails: training goes on when the terminal is gone.
public final class ConsoleProgress: TrainingListener {
    /// Steps of the whole run; without it there is no bar and no time left.
    public var totalSteps: Int?
    private let terminal: Terminal
    private let language: ReportLanguage
    private let write: (String) -> Void
    /// The live line on the screen.
    private var live = ""
    private var lastDrawn = -Double.infinity
    private var lastLine = -Double.infinity
    private var begun: Double?
    /// The last steps' times and losses.
    private var recentSeconds: [Double] = []
    private var recentLosses: [Double] = []
    private var lastStep: TrainingEvent?

    /// - Parameter write: takes the text as it goes to the console, control sequences and line ends included.
    public init(
        totalSteps: Int? = nil, language: ReportLanguage = .en, terminal: Terminal,
        write: @escaping (String) -> Void
    ) {
        (self.totalSteps, self.language, self.terminal, self.write) = (totalSteps, language, terminal, write)
    }

    /// Shows progress on a file handle, standard error by default.
    public convenience init(
        totalSteps: Int? = nil, language: ReportLanguage = .en, handle: FileHandle = .standardError
    ) {
        let terminal = Terminal.attached(to: handle.fileDescriptor)
        self.init(totalSteps: totalSteps, language: language, terminal: terminal) { text in
            try? handle.write(contentsOf: Data(text.utf8))
        }
    }

    /// Shows an event; steps are shown as often as a reader can follow.
    public func receive(_ event: TrainingEvent) -> TrainingDecision {
        begun = begun ?? event.time
        switch event.type {
        case .step: show(step: event)
        case .finish:
            if terminal.columns() == nil, let lastStep, lastLine < lastStep.time { plainLine(lastStep) }
            if let lastStep, terminal.columns() != nil, lastDrawn < lastStep.time { draw(lastStep) }
            leaveLiveLine()
            message(event)
        default: message(event)
        }
        return .proceed
    }

    // MARK: - Lines

    private func show(step event: TrainingEvent) {
        if let seconds = event.stepSeconds, seconds.isFinite { Self.keep(seconds, in: &recentSeconds) }
        if let loss = event.loss {
            Self.keep(loss, in: &recentLosses)
        }
        lastStep = event
        let isLast = totalSteps.map { event.step >= $0 } ?? false
        if terminal.columns() != nil {
            if isLast || event.time - lastDrawn >= 0.1 { draw(event) }
        } else {
            let elapsed = event.time - (begun ?? event.time)
            if isLast || event.time - lastLine >= max(5, elapsed / 20) { plainLine(event) }
        }
    }

    private func draw(_ event: TrainingEvent) {
        lastDrawn = event.time
        let fields = ProgressFields(event, total: totalSteps, loss: meanLoss, secondsLeft: secondsLeft(event), language)
        live = fields.line(columns: (terminal.columns() ?? 80) - 1)
        write("\r\u{1b}[2K\(live)")
    }

    private func plainLine(_ event: TrainingEvent) {
        lastLine = event.time
        let fields = ProgressFields(
            event, total: totalSteps, loss: meanLoss, secondsLeft: secondsLeft(event), language)
        write(fields.plain + "\n")
    }

    /// Above the live line, which stays.
    private func message(_ event: TrainingEvent) {
        guard let text = EventText(event, language).console else { return }
        guard terminal.columns() != nil else { return write(text + "\n") }
        write(live.isEmpty ? text + "\n" : "\r\u{1b}[2K\(text)\n\(live)")
    }

    private func leaveLiveLine() {
        if !live.isEmpty { write("\n") }
        live = ""
    }

    /// Over the last steps, so that it depends on the step alone, not on when lines are printed.
    private var meanLoss: Double? {
        recentLosses.isEmpty ? nil : recentLosses.reduce(0, +) / Double(recentLosses.count)
    }

    private func secondsLeft(_ event: TrainingEvent) -> Double? {
        guard let totalSteps, totalSteps >= event.step, !recentSeconds.isEmpty else { return nil }
        return recentSeconds.reduce(0, +) / Double(recentSeconds.count) * (Double(totalSteps) - Double(event.step))
    }

    private static func keep(_ value: Double, in recent: inout [Double]) {
        recent.append(value)
        if recent.count > 20 { recent.removeFirst() }
    }
}
