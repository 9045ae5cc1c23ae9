// How text data becomes samples.

import Tokenizers

/// What happens to a sample that is longer than the longest allowed.
public enum LengthPolicy: String, Sendable, Codable, CaseIterable {
    /// Its end is cut off.
    case truncate
    /// It becomes several samples.
    case split
    /// It is left out.
    case drop
}

/// How text data becomes samples.
public struct TextDataOptions: Sendable, Equatable {
    /// Tokens of the longest sample; nil for no limit.
    public var maxLength: Int?
    /// What happens to samples longer than `maxLength`.
    public var lengthPolicy = LengthPolicy.truncate
    /// Whether the prompt is trained as well as the answers.
    public var trainsOnPrompt = false
    /// The format of the data; recognised when nil.
    public var format: DataFormat?
    /// What one sample of a plain text file is.
    public var textUnit = TextUnit.paragraph
    /// The system prompt of conversations that have none.
    public var systemPrompt: String?
    /// The date that templates may write; fixed, so that the same data gives the same tokens on any day.
    public var clock = TemplateClock.standard

    /// Makes options with every other value at its default; a `maxLength` below 2 is refused when data is read.
    public init(maxLength: Int? = nil, lengthPolicy: LengthPolicy = .truncate) {
        (self.maxLength, self.lengthPolicy) = (maxLength, lengthPolicy)
    }
}
