// `checkpoints/step-000100/`: states from which a run can go on, complete or absent.

import Formats
import Foundation

/// A saved state of a run.
public struct Checkpoint: Sendable, Equatable {
    /// Optimizer steps done.
    public let step: Int
    /// Where its files lie.
    public let folder: URL

    /// The folder's name: `step-000100`.
    public var name: String { Self.name(step) }

    static func name(_ step: Int) -> String {
        let digits = String(max(0, step))
        return "step-" + String(repeating: "0", count: max(0, 6 - digits.count)) + digits
    }

    init?(folder: URL) {
        guard let match = folder.lastPathComponent.wholeMatch(of: /step-([0-9]{6,18})/), let step = Int(match.1),
            Self.name(step) == folder.lastPathComponent
        else { return nil }
        (self.step, self.folder) = (step, folder)
    }
}

/// The checkpoints of a run, and beside them the finished adapter.
public struct Checkpoints: Sendable {
    /// `checkpoints/`.
    public let folder: URL

    /// Every checkpoint, newest first.
    public var all: [Checkpoint] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        let found = names.compactMap { Checkpoint(folder: folder.appendingPathComponent($0, isDirectory: true)) }
        return found.filter { isFolder($0.folder) }.sorted { $0.step > $1.step }
    }

    /// The one to go on from.
    public var newest: Checkpoint? { all.first }

    /// Saves the state after `step`: `body` fills a folder that gets its name once everything in it is on the disk.
    @discardableResult
    public func save(step: Int, _ body: (URL) throws -> Void) throws -> Checkpoint {
        precondition(step >= 0, "a step is not negative")
        let target = folder.appendingPathComponent(Checkpoint.name(step), isDirectory: true)
        do {
            try AtomicFolder.build(at: target, replacing: true, body)
        } catch let error as CocoaError {
            throw Self.onOneLine(error, path: target.relativePath)
        }
        guard let checkpoint = Checkpoint(folder: target) else {
            throw RunError.damaged(
                path: target.relativePath, problem: "not a checkpoint's name", remedy: "lower max_steps")
        }
        return checkpoint
    }

    /// Foundation's own errors fill several lines.
    private static func onOneLine(_ error: CocoaError, path: String) -> any Error {
        let underlying = error.userInfo[NSUnderlyingErrorKey]
        let code = (underlying as? POSIXError).map { Int($0.code.rawValue) } ?? (underlying as? NSError)?.code
        return code.map { FormatsError.system(path: path, action: "write", code: Int32(clamping: $0)) } ?? error
    }

    /// Removes the oldest checkpoints beyond `limit` (0 keeps all); those of the steps in `always` stay.
    public func prune(keeping limit: Int, always: Set<Int> = []) throws {
        guard limit > 0 else { return }
        for checkpoint in all.dropFirst(limit) where !always.contains(checkpoint.step) { try remove(checkpoint) }
    }

    /// Removes what stands after `step`, which a run that goes on from there makes anew.
    public func remove(afterStep step: Int) throws {
        for checkpoint in all where checkpoint.step > step { try remove(checkpoint) }
    }

    /// Renamed first, so that no half of it is ever taken for a whole.
    private func remove(_ checkpoint: Checkpoint) throws {
        let doomed = folder.appendingPathComponent(Self.removedPrefix + checkpoint.name)
        try? FileManager.default.removeItem(at: doomed)
        guard rename(checkpoint.folder.path, doomed.path) == 0 else {
            throw FormatsError.system(path: checkpoint.folder.relativePath, action: "remove", code: errno)
        }
        try? FileManager.default.removeItem(at: doomed)
    }

    /// Removes what earlier processes left half removed or half written.
    func sweep() {
        for name in (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? [] {
            guard name.hasPrefix(Self.removedPrefix) || RunLayout.isUnfinished(name) else { continue }
            try? FileManager.default.removeItem(at: folder.appendingPathComponent(name))
        }
    }

    private static let removedPrefix = ".removed-"

    private func isFolder(_ url: URL) -> Bool {
        var isFolder: ObjCBool = false
        return FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder) && isFolder.boolValue
    }
}
