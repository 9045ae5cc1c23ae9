// Expectations about error messages.

import Testing

/// Expects an error whose one-line message contains each fragment.
func expectMessage<R>(
    _ fragments: [String], sourceLocation: SourceLocation = #_sourceLocation, _ body: () throws -> R
) {
    do {
        _ = try body()
        Issue.record("no error", sourceLocation: sourceLocation)
    } catch {
        let message = "\(error)"
        #expect(!message.contains { $0.isNewline }, sourceLocation: sourceLocation)
        for fragment in fragments {
            #expect(message.contains(fragment), sourceLocation: sourceLocation)
        }
    }
}
