// What there is to say about a data set in numbers.

/// A data set in numbers.
public struct DataSummary: Sendable, Equatable {
    public let format: DataFormat
    public let files: [DataFile]
    /// Records in the files.
    public let records: Int
    /// Samples that are trained on.
    public let samples: Int
    public let tokens: Int
    public let supervisedTokens: Int
    /// Tokens of the shortest, the middle and the longest sample.
    public let shortest: Int
    public let median: Int
    public let longest: Int
    /// What `max_length` did.
    public let truncated: Int
    public let split: Int
    public let dropped: Int
    public let warnings: [String]

    /// The summary in one line.
    public var line: String {
        let share = tokens == 0 ? 0 : (100 * supervisedTokens + tokens / 2) / tokens
        return "\(format.rawValue): \(samples) samples from \(files.count) \(files.count == 1 ? "file" : "files"), "
            + "\(tokens) tokens (\(share) % trained), lengths \(shortest)–\(median)–\(longest)"
            + (truncated + split + dropped == 0
                ? "" : "; max_length: \(truncated) truncated, \(split) split, \(dropped) dropped")
    }
}

/// Counts notes on samples and puts them into words.
struct NoteCounter {
    private var counts: [SampleNotes: (count: Int, first: SampleSource)] = [:]

    private static let texts: [(SampleNotes, String)] = [
        (.emptyAnswer, "records have an empty answer, which teaches the model to say nothing"),
        (.noAnswer, "conversations have no assistant turn and were left out"),
        (.trailingTurns, "conversations go on after their last answer; the turns after it were left out"),
        (.dividedByTurn, "conversations became one sample an answer, since the chat template rewrites earlier turns"),
        (.promptDiffers, "answers begin differently in training and in generation with this chat template"),
        (.endAdded, "answers were not ended by the chat template; the end-of-text token was added"),
        (.noEnd, "answers have no end that the model could learn; generation may not stop"),
        (.specialText, "conversations contain the text of special tokens; it was encoded as ordinary text"),
        (.answerCutOff, "answers were cut off by max_length; the model does not see how they end"),
    ]

    mutating func add(_ notes: SampleNotes, _ source: SampleSource, times: Int = 1) {
        for (note, _) in Self.texts where notes.contains(note) {
            counts[note] = ((counts[note]?.count ?? 0) + times, counts[note]?.first ?? source)
        }
    }

    /// One line for each kind of note, with the first place.
    var warnings: [String] {
        Self.texts.compactMap { note, text in
            counts[note].map { "\($0.count) \(text) (first: \($0.first.file):\($0.first.line))" }
        }
    }
}
