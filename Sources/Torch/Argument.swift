// Swift values that operators take.

import CTorch

/// A Swift value that an operator of libtorch takes.
protocol Argument {
    func write(to tape: inout Tape)
}

extension Tensor: Argument {
    var word: Int64 { Int64(Int(bitPattern: handle)) }
    func write(to tape: inout Tape) { tape.append(CTORCH_TENSOR, word) }
}
extension Int: Argument {
    func write(to tape: inout Tape) { tape.append(CTORCH_INT, Int64(self)) }
}
extension Double: Argument {
    func write(to tape: inout Tape) { tape.append(CTORCH_DOUBLE, Int64(bitPattern: bitPattern)) }
}
extension Bool: Argument {
    func write(to tape: inout Tape) { tape.append(CTORCH_BOOL, self ? 1 : 0) }
}
extension String: Argument {
    func write(to tape: inout Tape) { tape.append(CTORCH_STRING, bytes: Array(utf8)) }
}
extension DType: Argument {
    func write(to tape: inout Tape) { tape.append(CTORCH_INT, Int64(rawValue)) }
}
extension Device: Argument {
    func write(to tape: inout Tape) {
        tape.append(CTORCH_DEVICE, Int64(kind.rawValue), kind == .cpu ? -1 : Int64(index))
    }
}
extension Optional: Argument where Wrapped: Argument {
    func write(to tape: inout Tape) {
        if let self { self.write(to: &tape) } else { tape.append(CTORCH_NONE) }
    }
}

// MARK: - Lists

extension Array: Argument where Element: ListElement {
    func write(to tape: inout Tape) { tape.append(Element.listTag, list: lazy.map(\.listWord)) }
}

/// A value that operators take lists of.
protocol ListElement {
    static var listTag: Int { get }
    var listWord: Int64 { get }
}
extension Int: ListElement {
    static var listTag: Int { CTORCH_INTS }
    var listWord: Int64 { Int64(self) }
}
extension Double: ListElement {
    static var listTag: Int { CTORCH_DOUBLES }
    var listWord: Int64 { Int64(bitPattern: bitPattern) }
}
extension Tensor: ListElement {
    static var listTag: Int { CTORCH_TENSORS }
    var listWord: Int64 { word }
}
extension Optional: ListElement where Wrapped == Tensor {
    static var listTag: Int { CTORCH_OPTIONAL_TENSORS }
    var listWord: Int64 { self?.word ?? 0 }
}
