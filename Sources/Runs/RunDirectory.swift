// The folder of a run: the interface between training, reports and everything that looks at runs later.

import Formats
import Foundation

/// A run's folder, open for writing by this process alone.
public final class RunDirectory {
    /// What was found when the folder was opened.
    public enum Opening: Sendable, Equatable {
        /// Nothing; the run begins.
        case created
        /// The same run, not finished; it goes on from the newest checkpoint, or from the start where there is none.
        case unfinished
        /// The same run, done; nothing was changed.
        case finished
    }

    /// Where everything lies.
    public let layout: RunLayout
    /// What was found when the folder was opened.
    public let opening: Opening
    /// What the run knows of itself; `updateFacts` changes it.
    public private(set) var facts: RunFacts
    /// What has happened so far.
    public let events: EventLog
    /// Saved states.
    public var checkpoints: Checkpoints { layout.checkpoints }
    private let lock: RunLock

    /// Creates the run's folder, or opens the one that is there if it is of the same run.
    ///
    /// A folder with other files, of another run, or in use by another process is left as it is.
    public init(_ identity: RunIdentity, command: String) throws {
        let path = identity.configuration.run.outputDirectory
        layout = RunLayout(URL(fileURLWithPath: path, isDirectory: true), shownAs: path)
        try layout.refuseForeignFiles()
        try RunLayout.makeFolder(layout.folder, shownAs: path)
        lock = try RunLock(folder: layout.folder, shownAs: path)
        // Another process may have come first: only now is what is there certain.
        try layout.refuseForeignFiles()
        let earlier = try layout.earlierFacts()
        if let earlier, earlier.identity == identity.hash {
            facts = earlier
            opening = earlier.state == "done" ? .finished : .unfinished
            if opening == .unfinished { facts.state = "running" }
        } else if let earlier, try layout.holdsWork() {
            throw RunError.otherRun(path: path, differences: layout.differences(identity, earlier))
        } else {
            // A run that never made a step, for a mistake in its configuration say, gives way to the corrected one.
            facts = RunFacts(command: command, identity: identity.hash)
            opening = .created
        }
        try layout.makeFolders()
        layout.sweep()
        if opening != .finished {
            // Facts come first: they are what makes the folder a run's.
            try layout.write(facts)
            try AtomicFile.write(Data(identity.configuration.yaml.utf8), to: layout.configuration)
        }
        events = try EventLog(layout.events)
    }

    /// Changes the facts and keeps them at once.
    public func updateFacts(_ change: (inout RunFacts) -> Void) throws {
        var changed = facts
        change(&changed)
        guard changed != facts else { return }
        try layout.write(changed)
        facts = changed
    }

    /// Prepares to go on after `step`: later events and checkpoints are taken back, and the step's samples, which are
    /// made after its checkpoint.
    public func rewind(toStep step: Int) throws {
        try checkpoints.remove(afterStep: step)
        try events.truncate(afterStep: step)
    }
}
