// `logs/train.log`: everything that happened, a line each, with its time.

import Foundation
import Runs

/// Appends every event to a log; each line reaches the file at once.
public final class LogFile: TrainingListener {
    private let file: URL
    private let language: ReportLanguage
    private let everySteps: Int
    private let handle: FileHandle
    private let clock: Date.ISO8601FormatStyle

    /// Opens the log at its end; makes it, and its folder, where they are missing.
    ///
    /// - Parameter everySteps: of the steps, only every so many-th has a line.
    public init(_ file: URL, language: ReportLanguage = .en, everySteps: Int = 1) throws {
        (self.file, self.language, self.everySteps) = (file, language, max(1, everySteps))
        clock = Date.ISO8601FormatStyle(timeZone: .gmt)
        let folder = file.deletingLastPathComponent()
        try? FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let descriptor = open(file.path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else {
            throw ReportError.cannotWrite(file: file.path, reason: String(cString: strerror(errno)))
        }
        handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    }

    /// Appends an event's line, unless it is a step that is left out.
    public func receive(_ event: TrainingEvent) throws -> TrainingDecision {
        guard event.type != .step || event.step.isMultiple(of: everySteps) else { return .proceed }
        try append(EventText(event, language).logged, time: event.time)
        return .proceed
    }

    /// Appends a line that is no event.
    public func append(_ line: String, time: Double = Date().timeIntervalSince1970) throws {
        let sound = time.isFinite ? min(max(time, 0), 253_402_300_799) : 0  // up to the year 9999
        let text = "\(Date(timeIntervalSince1970: sound).formatted(clock)) \(EventText.oneLine(line))\n"
        do {
            try handle.write(contentsOf: Data(text.utf8))
        } catch {
            throw ReportError.cannotWrite(file: file.path, reason: error.localizedDescription)
        }
    }
}
