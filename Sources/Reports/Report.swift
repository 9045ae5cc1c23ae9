// The report of a run: `README.md` with the curve beside it, written from the run's configuration, facts and events.
// It holds the whole story in the order a colleague asks: how did it end, what was it, how did it go, what can it do,
// how do I use it, how do I repeat it.

import Formats
import Foundation
import Runs

/// A run told as one Markdown document.
public struct Report: Sendable {
    let config: [(key: String, value: String)]
    let facts: RunFacts
    let history: RunHistory
    let state: RunState
    let language: ReportLanguage
    /// The run's name; the folder's where the configuration has none.
    private var name: String?
    /// The run folder as one types it where the run was started.
    let runPath: String

    /// - Parameters:
    ///   - config: the configuration as run, in its order, defaults filled in.
    ///   - events: all lines of `events.jsonl`, those of earlier sessions included.
    ///   - language: the configuration's `language` where none is given.
    ///   - runPath: the configuration's `output_dir` where none is given.
    public init(
        config: [(key: String, value: String)], facts: RunFacts, events: [TrainingEvent],
        language: ReportLanguage? = nil, runPath: String? = nil
    ) {
        self.config = config
        self.facts = facts
        history = RunHistory(events)
        state = RunState(facts: facts, finish: history.finish)
        func value(_ key: String) -> String? { config.first { $0.key == key && !$0.value.isEmpty }?.value }
        self.language = language ?? value("language").flatMap(ReportLanguage.init) ?? .en
        let path = runPath ?? value("output_dir") ?? "."
        self.runPath = path
        name = value("output_name") ?? path.split(separator: "/").last { $0 != "." && $0 != ".." }.map(String.init)
    }

    /// Writes `README.md`, `logs/training_curve.svg` and, where the machine can, `logs/training_curve.png`; each
    /// appears whole or not at all. What could not be had is told in `warnings`.
    ///
    /// Throws `ReportError` where a folder cannot be made and `FormatsError` where a file cannot be written.
    public func write(to folder: URL) throws -> ReportFiles {
        var files = ReportFiles(readme: folder.appendingPathComponent("README.md"))
        try Self.createFolder(folder)
        try drawCurve(in: folder.appendingPathComponent("logs"), &files)
        var report = self
        report.name = name ?? folder.standardizedFileURL.lastPathComponent
        try AtomicFile.write(Data(report.markdown(hasPicture: files.picture != nil).utf8), to: files.readme)
        return files
    }

    /// An SVG that is there already has its PNG beside it.
    private func drawCurve(in logs: URL, _ files: inout ReportFiles) throws {
        guard let chart = LossChart(history, language: language) else { return }
        try Self.createFolder(logs)
        let curve = logs.appendingPathComponent("training_curve.svg")
        let picture = logs.appendingPathComponent("training_curve.png")
        let svg = Data(chart.svg.utf8)
        let isDrawn = FileManager.default.fileExists(atPath: picture.path) && (try? Data(contentsOf: curve)) == svg
        files.curve = curve
        files.picture = picture
        if isDrawn { return }
        // The SVG last: a PNG beside the same SVG is always of that SVG.
        try? FileManager.default.removeItem(at: curve)
        do {
            // Fonts for Chinese are rare on servers, so the words in the picture are English.
            let words = language == .en ? chart.svg : LossChart(history, language: .en)?.svg ?? chart.svg
            let png = try Picture.png(svg: words, scale: 1.5)
            try AtomicFile.write(png, to: picture)
        } catch let error as PictureError {
            try? FileManager.default.removeItem(at: picture)
            files.picture = nil
            files.warnings.append("no PNG of the curve was made: \(error)")
        }
        try AtomicFile.write(svg, to: curve)
    }

    /// The document.
    func markdown(hasPicture: Bool) -> String {
        let title = language("LoRA Training Report", "LoRA 训练报告")
        let parts: [[String]] = [
            ["# " + title + (name.map { language(": ", ":") + Markdown.escaped($0) } ?? ""), "> \(verdict)"], resume,
            overview,
            curve(hasPicture: hasPicture),
            epochTable, validationTable, samples, dataSection, adapterSection, resources, warningList, usage,
            reproduction,
        ]
        return parts.flatMap { $0 }.joined(separator: "\n\n") + "\n"
    }

    var verdict: String { Verdict(language: language, facts: facts, history: history, state: state).text }

    /// The value of a configuration key; absent when empty.
    func value(_ key: String) -> String? { config.first { $0.key == key && !$0.value.isEmpty }?.value }

    private static func createFolder(_ folder: URL) throws {
        do {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        } catch {
            throw ReportError.cannotWrite(file: folder.path, reason: error.localizedDescription)
        }
    }
}

/// What writing a report left.
public struct ReportFiles: Sendable, Equatable {
    /// The document.
    public var readme: URL
    /// The curve as SVG; absent when no step was finished.
    public var curve: URL?
    /// The curve as PNG.
    public var picture: URL?
    /// Lines to show: what is missing and how to have it.
    public var warnings: [String] = []

    init(readme: URL) { self.readme = readme }
}

/// What can go wrong with reports and logs.
public enum ReportError: Error, CustomStringConvertible {
    /// A folder could not be made, or a log not opened or written.
    case cannotWrite(file: String, reason: String)

    public var description: String {
        switch self {
        case .cannotWrite(let file, let reason):
            "\(file): cannot be written: \(reason); check its rights and the free space (df -h), then repeat the command"
        }
    }
}
