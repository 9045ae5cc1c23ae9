// Ctrl-C: the first asks for a clean end, the second ends at once. So do other signals that ask a program to end.

import Foundation
import Runs
import Synchronization

/// Whether someone asked the run to stop.
public enum Interrupt {
    private static let asked = Atomic<Bool>(false)

    private static let note: StaticString = """

        stopping as soon as what is done can be kept; once more ends at once and loses the steps since the last checkpoint

        """

    /// From now on, SIGINT, SIGTERM and SIGHUP ask for a clean end; a second one ends the process as usual. A console
    /// that nobody reads any more ends nothing.
    public static func listen() {
        // A program may be started with these signals blocked, as a test runner's threads have them.
        var signals = sigset_t()
        sigemptyset(&signals)
        for number in [SIGINT, SIGTERM, SIGHUP] {
            sigaddset(&signals, number)
            let before = signal(number) { number in
                // Only what is safe in a signal handler.
                Interrupt.asked.store(true, ordering: .relaxed)
                _ = Foundation.write(2, Interrupt.note.utf8Start, Interrupt.note.utf8CodeUnitCount)
                signal(number, SIG_DFL)
            }
            // `nohup` starts a program that is to ignore the end of its terminal.
            if number == SIGHUP, before.map({ unsafeBitCast($0, to: Int.self) }) == 1 { signal(number, SIG_IGN) }
        }
        signal(SIGPIPE, SIG_IGN)
        sigprocmask(SIG_UNBLOCK, &signals, nil)
    }

    /// Whether a clean end was asked for.
    public static var isAsked: Bool { asked.load(ordering: .relaxed) }
}

/// Someone asked to stop in the middle of something that need not be finished.
struct Interrupted: Error {
    /// Throws where a clean end was asked for.
    static func check() throws { if Interrupt.isAsked { throw Interrupted() } }
}

/// Stops the trainer after the step during which someone pressed Ctrl-C.
final class InterruptListener: TrainingListener {
    func receive(_ event: TrainingEvent) -> TrainingDecision { Interrupt.isAsked ? .stop : .proceed }
}
