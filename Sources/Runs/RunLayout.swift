// Where the parts of a run lie in its folder, and how they are read, by anyone and without the run's lock.

import Formats
import Foundation

/// The names in a run's folder.
public struct RunLayout: Sendable {
    /// The run's folder.
    public let folder: URL
    private let shown: String

    /// The layout of the run in `folder`, which need not exist.
    public init(_ folder: URL) { self.init(folder, shownAs: folder.relativePath) }

    init(_ folder: URL, shownAs shown: String) { (self.folder, self.shown) = (folder, shown) }

    /// The configuration as run.
    public var configuration: URL { folder.appendingPathComponent("config.yaml") }
    /// What the run knows of itself.
    public var facts: URL { folder.appendingPathComponent("facts.json") }
    /// What happened, one event a line.
    public var events: URL { folder.appendingPathComponent("events.jsonl") }
    /// The report.
    public var report: URL { folder.appendingPathComponent("README.md") }
    /// Logs for people and for TensorBoard.
    public var logs: URL { folder.appendingPathComponent("logs", isDirectory: true) }
    /// The log for people.
    public var log: URL { logs.appendingPathComponent("train.log") }
    /// Answers or pictures made on the way.
    public var samples: URL { folder.appendingPathComponent("samples", isDirectory: true) }
    /// Saved states, and the finished adapter.
    public var checkpoints: Checkpoints {
        Checkpoints(folder: folder.appendingPathComponent("checkpoints", isDirectory: true))
    }

    // MARK: - Reading

    /// What the run knows of itself.
    public func readFacts() throws -> RunFacts {
        guard let facts = try earlierFacts() else { throw RunError.noRun(path: shown) }
        return facts
    }

    /// What happened in the run.
    public func readEvents() throws -> [TrainingEvent] { try EventLog.read(events) }

    /// What the run was asked to do; its files need not exist any more.
    public func readConfiguration() throws -> Configuration {
        try Configuration.load(configuration.relativePath, checkingPaths: false)
    }

    /// Whether a step was ever made, so that something would be lost with the folder.
    public func holdsWork() throws -> Bool {
        try checkpoints.newest != nil || readEvents().contains { $0.type == .step }
    }

    func earlierFacts() throws -> RunFacts? {
        guard FileManager.default.fileExists(atPath: facts.path) else { return nil }
        do {
            let data = try Data(contentsOf: facts)
            return try EventCoding.decoder.decode(RunFacts.self, from: data)
        } catch let error as DecodingError {
            throw RunError.damaged(
                path: shown + "/facts.json", problem: "not the facts of a run (\(EventCoding.reason(error)))",
                remedy: "choose another output_dir, or restore the file")
        } catch {
            throw FormatsError.system(path: shown + "/facts.json", action: "read", code: EACCES)
        }
    }

    /// What another run asked for, as far as the folder tells.
    public func differences(_ identity: RunIdentity, _ facts: RunFacts) -> [String] {
        identity.differences(from: try? readConfiguration(), facts)
    }

    // MARK: - Writing

    func write(_ facts: RunFacts) throws {
        let encoder = EventCoding.encoder
        encoder.outputFormatting.insert(.prettyPrinted)
        try AtomicFile.write(try encoder.encode(facts) + [10], to: self.facts)
    }

    func makeFolders() throws {
        for folder in [logs, samples, checkpoints.folder] {
            try Self.makeFolder(folder, shownAs: shown + "/" + folder.lastPathComponent)
        }
    }

    /// Removes what earlier processes left unfinished. Only for the holder of the run's lock.
    func sweep() {
        checkpoints.sweep()
        for place in [folder, logs, samples] {
            for name in (try? FileManager.default.contentsOfDirectory(atPath: place.path)) ?? [] {
                guard Self.isUnfinished(name) else { continue }
                try? FileManager.default.removeItem(at: place.appendingPathComponent(name))
            }
        }
    }

    /// Whether a file or folder was never given its name, as `AtomicFile` calls it before.
    static func isUnfinished(_ name: String) -> Bool { name.hasPrefix(".") && name.hasSuffix(".partial") }

    /// Creates a folder and those above it, unless it is there.
    static func makeFolder(_ folder: URL, shownAs shown: String) throws {
        var path = folder.path.hasPrefix("/") ? "" : "."
        for part in folder.path.split(separator: "/") {
            path += "/" + part
            guard mkdir(path, 0o777) != 0 else { continue }
            let code = errno
            var isFolder: ObjCBool = false
            let isThere = FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
            if isThere, isFolder.boolValue { continue }
            throw FormatsError.system(path: shown, action: "create the folder", code: isThere ? ENOTDIR : code)
        }
    }

    /// Refuses a folder with files in it that no run made.
    public func refuseForeignFiles() throws {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: folder.path, isDirectory: &isFolder) else { return }
        guard isFolder.boolValue else { throw RunError.notAFolder(path: shown) }
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: folder.path) else {
            throw FormatsError.system(path: shown, action: "read the folder", code: EACCES)
        }
        guard !names.contains(facts.lastPathComponent) else { return }
        // A run that was killed while it was made has left at most its lock, empty folders and unfinished facts.
        let others = names.filter { !isOfUnbornRun($0) }.sorted()
        guard others.isEmpty else { throw RunError.foreignFiles(path: shown, files: others) }
    }

    private func isOfUnbornRun(_ name: String) -> Bool {
        if [RunLock.fileName, ".DS_Store"].contains(name) || Self.isUnfinished(name) { return true }
        guard [logs, samples, checkpoints.folder].map(\.lastPathComponent).contains(name) else { return false }
        let inside = try? FileManager.default.contentsOfDirectory(atPath: folder.appendingPathComponent(name).path)
        return inside?.isEmpty ?? false
    }
}
