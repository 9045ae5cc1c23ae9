// What there is to say about a data set in numbers.

/// A data set in numbers.
public struct DataSummary: Sendable, Equatable {
    /// The layout that was recognised or asked for.
    public let format: DataFormat
    /// The files that were read, in order.
    public let files: [DataFile]
    /// Records in the files.
    public let records: Int
    /// Samples that these became, before any is held back for validation.
    public let samples: Int
    /// Tokens of all samples.
    public let tokens: Int
    /// Tokens of all samples that are trained on.
    public let supervisedTokens: Int
    /// Tokens of the shortest, the middle and the longest sample.
    public let shortest, median, longest: Int
    /// Samples that `max_length` cut off, divided and left out.
    public let truncated, split, dropped: Int
    /// Whether answers directly follow what was asked, without any layout of a conversation.
    public let isRaw: Bool
    /// What to tell the user, a line each.
    public let warnings: [String]

    /// The summary in one line.
    public var line: String {
        let share = tokens == 0 ? 0 : (100 * supervisedTokens + tokens / 2) / tokens
        return "\(format.rawValue): \(counted(samples, "sample")) from \(counted(files.count, "file")), "
            + "\(tokens) tokens (\(share) % trained), lengths \(shortest)–\(median)–\(longest)"
            + (truncated + split + dropped == 0
                ? "" : "; max_length: \(truncated) truncated, \(split) split, \(dropped) dropped")
    }
}

/// `1 file`, `2 files`.
func counted(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }

/// Counts notes on samples and puts them into words.
struct NoteCounter {
    private var counts: [SampleNotes: (count: Int, first: SampleSource)] = [:]

    /// What one and what several of them do, and the rest of the sentence.
    private static let texts: [(note: SampleNotes, one: String, many: String, rest: String)] = [
        (.emptyAnswer, "record has", "records have", "an empty answer, which teaches the model to say nothing"),
        (.noAnswer, "conversation has", "conversations have", "no assistant turn; left out"),
        (.trailingTurns, "conversation goes", "conversations go", "on after the last answer; those turns are left out"),
        (
            .dividedByTurn, "conversation becomes", "conversations become",
            "one sample an answer, since the chat template rewrites earlier turns"
        ),
        (
            .promptDiffers, "answer begins", "answers begin",
            "differently in training and in generation with this chat template"
        ),
        (
            .endAdded, "answer was", "answers were",
            "not ended by the chat template; the end-of-text token was added"
        ),
        (.noEnd, "answer has", "answers have", "no end that the model could learn; generation may not stop"),
        (
            .specialText, "conversation contains", "conversations contain",
            "the text of special tokens; it was encoded as ordinary text"
        ),
        (.answerCutOff, "answer was", "answers were", "cut off by max_length; the model does not see the end"),
    ]

    mutating func add(_ notes: SampleNotes, _ source: SampleSource, times: Int = 1) {
        for (note, _, _, _) in Self.texts where notes.contains(note) {
            counts[note] = ((counts[note]?.count ?? 0) + times, counts[note]?.first ?? source)
        }
    }

    /// One line for each kind of note, with the first place.
    var warnings: [String] {
        Self.texts.compactMap { note, one, many, rest in
            counts[note].map { count, first in
                "\(count) \(count == 1 ? one : many) \(rest) (first: \(first.file):\(first.line))"
            }
        }
    }
}
