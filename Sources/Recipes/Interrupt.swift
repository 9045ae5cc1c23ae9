// Ctrl-C: the first asks for a clean end, the second ends at once.

import Foundation
import Runs
import Synchronization

/// Whether someone asked the run to stop.
public enum Interrupt {
    private static let asked = Atomic<Bool>(false)

    /// From now on, SIGINT and SIGTERM ask for a clean end; a second one ends the process as usual.
    public static func listen() {
        // A program may be started with these signals blocked, as a test runner's threads have them.
        var signals = sigset_t()
        sigemptyset(&signals)
        for number in [SIGINT, SIGTERM] {
            sigaddset(&signals, number)
            signal(number) { number in
                Interrupt.asked.store(true, ordering: .relaxed)
                signal(number, SIG_DFL)
            }
        }
        sigprocmask(SIG_UNBLOCK, &signals, nil)
    }

    /// Whether a clean end was asked for.
    public static var isAsked: Bool { asked.load(ordering: .relaxed) }
}

/// Stops the trainer after the step during which someone pressed Ctrl-C.
final class InterruptListener: TrainingListener {
    func receive(_ event: TrainingEvent) -> TrainingDecision { Interrupt.isAsked ? .stop : .proceed }
}
