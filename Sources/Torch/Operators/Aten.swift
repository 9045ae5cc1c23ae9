// The namespace of libtorch's own operators.

import CTorch

/// libtorch's own operators, each declared beside the Swift function that calls it.
enum aten {}

/// A value left to the schema's default.
struct Omitted: Argument {
    func write(to tape: inout Tape) { tape.append(CTORCH_DEFAULT) }
}
