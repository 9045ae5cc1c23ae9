// A value of a data file: what JSON can say, with the order of keys kept.

/// A value read from JSON; a row of a CSV file is an object of strings.
enum DataValue: Sendable, Equatable {
    case null
    case bool(Bool)
    /// A number as it was written.
    case number(String)
    case string(String)
    case array([DataValue])
    case object([DataMember])

    /// What kind of value this is, in words.
    var kind: String {
        switch self {
        case .null: "null"
        case .bool(let value): "\(value)"
        case .number(let text): "the number \(text.excerpt(20))"
        case .string(let text): "the text '\(text.excerpt(30))'"
        case .array: "an array"
        case .object: "an object"
        }
    }
}

/// A key of an object and its value.
struct DataMember: Sendable, Equatable {
    let key: String
    let value: DataValue
}

/// One object of a data file and where it starts.
struct DataRecord: Sendable {
    let members: [DataMember]
    let source: SampleSource

    /// An error at this record.
    func error(_ problem: String) -> DatasetError {
        .place(file: source.file, line: source.line, problem: problem)
    }
}

/// Where a sample was read.
public struct SampleSource: Sendable, Equatable {
    /// The file's name as `DataFile.path` has it.
    public let file: String
    /// Counted from 1.
    public let line: Int

    /// Makes a place in a file; `line` counts from 1.
    public init(file: String, line: Int) {
        (self.file, self.line) = (file, line)
    }
}
