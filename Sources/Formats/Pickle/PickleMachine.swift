// A reader of the pickles in PyTorch's checkpoints. It has no way to run anything: names are compared with a short
// list, and what would be a call to them is either one of three known forms or is read over.
// Format: https://github.com/python/cpython/blob/main/Lib/pickletools.py

import Foundation

/// The stack machine of pickle, for the opcodes that `torch.save` writes.
struct PickleMachine {
    /// Held, so that the bytes stay mapped.
    let file: MappedFile
    /// Lists, tuples and sets.
    private(set) var sequences: [[PickleValue]] = []
    private(set) var dictionaries: [[(key: PickleValue, value: PickleValue)]] = []

    private let bytes: UnsafeRawBufferPointer
    private var position = 0
    private var opcode: UInt8 = 0
    private var stack: [PickleValue] = []
    private var marks: [Int] = []
    private var memo: [Int: PickleValue] = [:]

    /// Ten times what the largest models need; a value takes up to sixty bytes of memory.
    private static let longest = 1 << 25

    /// - Parameter range: the pickle's bytes within the file.
    init(_ file: MappedFile, _ range: Range<Int>) throws {
        guard range.count <= Self.longest else {
            throw FormatsError.unsupported(
                path: file.url.shownPath, place: nil,
                problem: "a pickle of \(range.count.grouped) bytes, at most \(Self.longest.grouped) are read",
                remedy: "save the model's tensors without other data")
        }
        self.file = file
        bytes = try file.bytes(at: range.lowerBound, count: range.count)
    }

    /// Reads to the end and gives the one value that is left.
    mutating func run() throws -> PickleValue {
        while true {
            opcode = try number(UInt8.self)
            if opcode == UInt8(ascii: ".") { return try pop() }
            if try constant() { continue }
            if try kept() { continue }
            if try gathered() { continue }
            if try named() { continue }
            throw unsupported("opcode \(opcode) of pickle, which torch.save does not write")
        }
    }

    private func damaged(_ problem: String) -> FormatsError {
        .damaged(path: file.url.shownPath, place: "pickle, byte \(position.grouped)", problem: problem)
    }

    private func unsupported(_ problem: String) -> FormatsError {
        .unsupported(
            path: file.url.shownPath, place: "pickle, byte \(position.grouped)",
            problem: "\(problem); lora has run nothing of it",
            remedy: "use the model's .safetensors file, and open this one with no other program")
    }

    // MARK: - Bytes

    private mutating func take(_ count: Int) throws -> UnsafeRawBufferPointer {
        guard count >= 0, count <= bytes.count - position else {
            throw damaged("\(count.grouped) bytes expected, \((bytes.count - position).grouped) are left")
        }
        defer { position += count }
        return UnsafeRawBufferPointer(rebasing: bytes[position..<(position + count)])
    }

    private mutating func number<T: FixedWidthInteger>(_ type: T.Type) throws -> T {
        try take(MemoryLayout<T>.size).number(type, 0)
    }

    /// Text, or bytes that are passed over, with its length before it.
    private mutating func counted<T: FixedWidthInteger>(_ length: T.Type) throws -> UnsafeRawBufferPointer {
        try take(Int(clamping: number(length)))
    }

    private mutating func line() throws -> String {
        let end = bytes[position...].firstIndex(of: UInt8(ascii: "\n"))
        guard let end else { throw damaged("a line that does not end") }
        defer { position += 1 }
        return String(decoding: try take(end - position), as: UTF8.self)
    }

    // MARK: - The stack

    private mutating func pop() throws -> PickleValue {
        guard stack.count > marks.last ?? 0, let value = stack.popLast() else { throw damaged("a value is missing") }
        return value
    }

    private mutating func popToMark() throws -> [PickleValue] {
        guard let mark = marks.popLast() else { throw damaged("the beginning of a list is missing") }
        defer { stack.removeSubrange(mark...) }
        return Array(stack[mark...])
    }

    private mutating func push(sequence: [PickleValue]) {
        sequences.append(sequence)
        stack.append(.sequence(sequences.count - 1))
    }

    private mutating func push(dictionary pairs: [(PickleValue, PickleValue)]) {
        dictionaries.append(pairs)
        stack.append(.dictionary(dictionaries.count - 1))
    }

    // MARK: - Opcodes

    /// Values that stand in the pickle itself.
    private mutating func constant() throws -> Bool {
        switch opcode {
        case 0x80: _ = try number(UInt8.self)  // PROTO
        case 0x95: _ = try number(UInt64.self)  // FRAME
        case UInt8(ascii: "N"): stack.append(.none)
        case 0x88: stack.append(.truth(true))
        case 0x89: stack.append(.truth(false))
        case UInt8(ascii: "J"): stack.append(.integer(Int(try number(Int32.self))))
        case UInt8(ascii: "K"): stack.append(.integer(Int(try number(UInt8.self))))
        case UInt8(ascii: "M"): stack.append(.integer(Int(try number(UInt16.self))))
        case 0x8A: stack.append(Self.whole(try counted(UInt8.self)))
        case 0x8B: stack.append(Self.whole(try counted(UInt32.self)))
        case UInt8(ascii: "G"): push(opaque: try take(8))  // a real number
        case 0x8C, UInt8(ascii: "U"): stack.append(Self.text(try counted(UInt8.self)))
        case UInt8(ascii: "X"), UInt8(ascii: "T"): stack.append(Self.text(try counted(UInt32.self)))
        case 0x8D: stack.append(Self.text(try counted(UInt64.self)))
        case UInt8(ascii: "C"): push(opaque: try counted(UInt8.self))
        case UInt8(ascii: "B"): push(opaque: try counted(UInt32.self))
        case 0x8E, 0x96: push(opaque: try counted(UInt64.self))
        default: return false
        }
        return true
    }

    private static func text(_ bytes: UnsafeRawBufferPointer) -> PickleValue {
        .text(String(decoding: bytes, as: UTF8.self))
    }

    private mutating func push(opaque _: UnsafeRawBufferPointer) { stack.append(.opaque) }

    /// A little-endian number in two's complement.
    private static func whole(_ bytes: UnsafeRawBufferPointer) -> PickleValue {
        guard bytes.count <= 8 else { return .opaque }
        let isNegative = (bytes.last ?? 0) >= 0x80
        return .integer(bytes.reversed().reduce(isNegative ? -1 : 0) { $0 << 8 | Int($1) })
    }

    /// Values that are kept for later, taken out again or dropped.
    private mutating func kept() throws -> Bool {
        switch opcode {
        case UInt8(ascii: "q"): try keep(Int(number(UInt8.self)))
        case UInt8(ascii: "r"): try keep(Int(number(UInt32.self)))
        case 0x94: try keep(memo.count)
        case UInt8(ascii: "h"): try recall(Int(number(UInt8.self)))
        case UInt8(ascii: "j"): try recall(Int(number(UInt32.self)))
        case UInt8(ascii: "0"): _ = try pop()
        case UInt8(ascii: "1"): _ = try popToMark()
        case UInt8(ascii: "2"):
            let value = try pop()
            stack += [value, value]
        case UInt8(ascii: "("): marks.append(stack.count)
        default: return false
        }
        return true
    }

    private mutating func keep(_ place: Int) throws {
        let value = try pop()
        memo[place] = value
        stack.append(value)
    }

    private mutating func recall(_ place: Int) throws {
        guard let value = memo[place] else { throw damaged("nothing has been kept as \(place)") }
        stack.append(value)
    }

    /// Lists, tuples, sets and dictionaries.
    private mutating func gathered() throws -> Bool {
        switch opcode {
        case UInt8(ascii: ")"), UInt8(ascii: "]"), 0x8F: push(sequence: [])
        case 0x85...0x87:
            let values = try (0x85...opcode).map { _ in try pop() }
            push(sequence: values.reversed())
        case UInt8(ascii: "t"), UInt8(ascii: "l"), 0x91: push(sequence: try popToMark())
        case UInt8(ascii: "}"): push(dictionary: [])
        case UInt8(ascii: "d"): push(dictionary: try Self.pairs(popToMark()) ?? oddPairs())
        case UInt8(ascii: "a"): try append([pop()])
        case UInt8(ascii: "e"), 0x90: try append(popToMark())
        case UInt8(ascii: "s"):
            let value = try pop()
            try set([pop(), value])
        case UInt8(ascii: "u"): try set(popToMark())
        default: return false
        }
        return true
    }

    private static func pairs(_ values: [PickleValue]) -> [(PickleValue, PickleValue)]? {
        guard values.count.isMultiple(of: 2) else { return nil }
        return stride(from: 0, to: values.count, by: 2).map { (values[$0], values[$0 + 1]) }
    }

    private func oddPairs<T>() throws -> T { throw damaged("a key without a value") }

    private mutating func append(_ values: [PickleValue]) throws {
        switch stack.last {
        case .sequence(let index): sequences[index] += values
        case .opaque: break
        default: throw damaged("a list is missing")
        }
    }

    private mutating func set(_ values: [PickleValue]) throws {
        switch stack.last {
        case .dictionary(let index): dictionaries[index] += try Self.pairs(values) ?? oddPairs()
        case .opaque: break
        default: throw damaged("a dictionary is missing")
        }
    }

    // MARK: - Names

    /// Names of Python's, and what is made with them.
    private mutating func named() throws -> Bool {
        switch opcode {
        case UInt8(ascii: "c"): try mention(line(), line())
        case 0x93:
            guard case (.text(let name), .text(let module)) = (try pop(), try pop()) else {
                throw damaged("a name is missing")
            }
            try mention(module, name)
        case UInt8(ascii: "R"), 0x81:
            let arguments = try pop()
            try make(arguments)
        case 0x92:
            _ = try (pop(), pop())
            try make(.opaque)
        case UInt8(ascii: "b"): _ = try pop()  // an object's state: nothing that is read here has one
        case UInt8(ascii: "Q"): try refer(pop())
        default: return false
        }
        return true
    }

    private mutating func mention(_ module: String, _ name: String) throws {
        guard let known = PickleName("\(module).\(name)") else {
            throw unsupported("the pickle asks Python for '\(module).\(name)'".onOneLine + ", which no model needs")
        }
        stack.append(.name(known))
    }

    private mutating func make(_ arguments: PickleValue) throws {
        guard case .name(let name) = try pop() else { throw damaged("what is called is not a name") }
        let values = if case .sequence(let index) = arguments { sequences[index] } else { [PickleValue]() }
        switch (name, values.first) {
        case (.tensor, _): stack.append(try tensor(values))
        case (.parameter, let value?): stack.append(value)
        case (.orderedDictionary, nil): push(dictionary: [])
        default: stack.append(.opaque)
        }
    }

    private func tensor(_ values: [PickleValue]) throws -> PickleValue {
        guard values.count >= 4, case .integer(let offset) = values[1], case .sequence(let shape) = values[2],
            case .sequence(let strides) = values[3]
        else { throw damaged("a tensor without storage, offset, shape and strides") }
        guard case .storage(let storage) = values[0] else { return .opaque }
        guard sequences[shape].count <= 8 else { throw damaged("a tensor of more than 8 dimensions") }
        let numbers = [shape, strides].map { sequences[$0].prefix(9).compactMap(\.integer) }
        guard numbers[0].count == sequences[shape].count, numbers[1].count == numbers[0].count,
            sequences[strides].count == numbers[0].count
        else {
            throw damaged("a tensor whose shape and strides are not numbers, one for each dimension")
        }
        return .tensor(PickledTensor(storage: storage, offset: offset, shape: numbers[0], strides: numbers[1]))
    }

    /// A reference to a storage: `("storage", type, key, device, count)`.
    private mutating func refer(_ value: PickleValue) throws {
        guard case .sequence(let index) = value, sequences[index].count == 5,
            case .name(.storage(let type)) = sequences[index][1], case .text(let key) = sequences[index][2]
        else { throw damaged("a storage expected, with its type and its name") }
        stack.append(type.map { .storage(PickledStorage(type: $0, key: key)) } ?? .opaque)
    }
}

extension PickleValue {
    /// The place of the dictionary that this is.
    var dictionary: Int? { if case .dictionary(let index) = self { index } else { nil } }

    /// The whole number that this is.
    var integer: Int? { if case .integer(let value) = self { value } else { nil } }
}
