// One operator of libtorch, declared by its schema and called through the boxed dispatcher.

import CTorch

/// An operator, found by the name its schema gives it.
///
/// The schema is written as libtorch prints it; a test compares every declared one with the loaded library.
public struct Operator: @unchecked Sendable {
    // The handle points into libtorch's registry, which is never changed after start and is safe to read from anywhere.
    private let handle: CTorchOperator
    /// The schema this operator was declared with, its namespace included.
    public let schema: String

    /// Finds the operator that `schema` names, in `aten` unless it says otherwise.
    public init(_ schema: String) {
        let qualified = schema.prefix { $0 != "(" }.contains("::") ? schema : "aten::" + schema
        let name = qualified.prefix { $0 != "(" }
        let overload = name.split(separator: ".", maxSplits: 1)
        var handle: CTorchOperator?
        let status = ctorch_find_operator(String(overload[0]), overload.count > 1 ? String(overload[1]) : "", &handle)
        guard status == CTORCH_OK, let handle else {
            // A misspelt operator is a bug of ours; the schema test looks up every one.
            preconditionFailure("no operator \(name): \(String(cString: ctorch_last_error()))")
        }
        (self.handle, self.schema) = (handle, qualified)
    }

    /// The schema of the loaded library.
    public var loadedSchema: String { String(cString: ctorch_schema(handle)) }

    /// Calls the operator for its one result. Arguments follow the schema's order; those left off take its defaults.
    @discardableResult
    func callAsFunction<each A: Argument>(_ arguments: repeat each A) throws -> Tensor {
        let tape = Tape(repeat each arguments)
        var result: CTorchTensor?
        var count: Int64 = 0
        try withExtendedLifetime((repeat each arguments)) {
            try check(ctorch_call(handle, tape.words, Int64(tape.words.count), &result, 1, &count))
        }
        return Tensor(owning: try result.orThrow())
    }

    /// Calls an operator that works in place and gives nothing back.
    func run<each A: Argument>(_ arguments: repeat each A) throws {
        _ = try all(repeat each arguments)
    }

    /// Calls the operator for all its results, at most `capacity`.
    func all<each A: Argument>(_ arguments: repeat each A, capacity: Int = 8) throws -> [Tensor] {
        let tape = Tape(repeat each arguments)
        return try withExtendedLifetime((repeat each arguments)) {
            try withUnsafeTemporaryAllocation(of: CTorchTensor?.self, capacity: capacity) { results in
                var count: Int64 = 0
                let words = Int64(tape.words.count)
                try check(ctorch_call(handle, tape.words, words, results.baseAddress, Int64(capacity), &count))
                return try results.prefix(Int(count)).map { Tensor(owning: try $0.orThrow()) }
            }
        }
    }
}

/// A call's arguments as words: each a tag followed by its values.
struct Tape {
    private(set) var words: [Int64] = []

    init<each A: Argument>(_ arguments: repeat each A) {
        words.reserveCapacity(32)
        repeat (each arguments).write(to: &self)
    }

    mutating func append(_ tag: Int, _ values: Int64...) {
        words.append(Int64(tag))
        words.append(contentsOf: values)
    }
    mutating func append(_ tag: Int, list: some Collection<Int64>) {
        words.append(Int64(tag))
        words.append(Int64(list.count))
        words.append(contentsOf: list)
    }
    mutating func append(_ tag: Int, bytes: [UInt8]) {
        words.append(Int64(tag))
        words.append(Int64(bytes.count))
        for start in stride(from: 0, to: bytes.count, by: 8) {
            let word = bytes[start..<min(start + 8, bytes.count)].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            words.append(Int64(bitPattern: UInt64(littleEndian: word)))
        }
    }
}
