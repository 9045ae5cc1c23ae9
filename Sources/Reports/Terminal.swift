// What there is to know of the place the console's lines go to.

import Foundation

/// A terminal, or a file or pipe that takes lines.
public struct Terminal: Sendable {
    /// The width in columns; absent where lines go to a file or pipe.
    public var columns: @Sendable () -> Int?

    /// Makes a terminal whose width is asked for each time something is shown.
    public init(columns: @escaping @Sendable () -> Int?) { self.columns = columns }

    /// Asks the system about a file descriptor each time, since windows change their size.
    public static func attached(to descriptor: Int32) -> Terminal {
        guard isatty(descriptor) == 1, ProcessInfo.processInfo.environment["TERM"] != "dumb" else {
            return Terminal { nil }
        }
        return Terminal {
            var size = winsize()
            guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
            return Int(size.ws_col)
        }
    }
}
