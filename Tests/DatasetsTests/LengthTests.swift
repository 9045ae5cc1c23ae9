// The limit on length, the numbers of a data set, and its warnings.

import Testing

@testable import Datasets

@Suite("Length and numbers")
struct LengthTests {
    // 21 tokens of layout; texts of 1, 20 and 60 letters.
    private let lines = [
        ("q", "a"), ("q", String(repeating: "b", count: 20)), (String(repeating: "q", count: 60), "c"),
    ]
    .map { #"{"prompt":"\#($0.0)","completion":"\#($0.1)"}"# }.joined(separator: "\n")

    @Test("truncate cuts ends off, and drops what keeps no trained token")
    func truncate() throws {
        let data = try dataset(lines, options: TextDataOptions(maxLength: 30))
        let numbers = data.summary
        #expect((numbers.samples, numbers.truncated, numbers.split, numbers.dropped) == (2, 1, 0, 1))
        #expect(data.samples.map(\.tokens.count) == [23, 30])
        #expect(numbers.warnings.contains { $0.hasPrefix("2 answers were cut off by max_length") })
        #expect(
            numbers.line == "prompt/completion: 2 samples from 1 file, 53 tokens (25 % trained), lengths 23–30–30; "
                + "max_length: 1 truncated, 0 split, 1 dropped")
    }

    @Test("split keeps every trained token in some part")
    func split() throws {
        let data = try dataset(lines, options: TextDataOptions(maxLength: 10, lengthPolicy: .split))
        #expect((data.summary.split, data.summary.dropped) == (3, 0))
        #expect(data.samples.allSatisfy { $0.tokens.count <= 10 && $0.trainedCount > 0 })
        let text = try dataset("abcdefgh", "a.txt", options: TextDataOptions(maxLength: 3, lengthPolicy: .split))
        #expect(text.samples.map { $0.tokens.map { Int($0) } } == [[97, 98, 99], [100, 101, 102], [103, 104, 257]])
    }

    @Test("drop leaves long samples out")
    func drop() throws {
        let data = try dataset(lines, options: TextDataOptions(maxLength: 30, lengthPolicy: .drop))
        #expect((data.summary.samples, data.summary.dropped) == (1, 2))
    }

    @Test("that leave nothing are an error with the numbers")
    func nothingLeft() {
        #expect(
            failure(lines, TextDataOptions(maxLength: 20, lengthPolicy: .drop)).hasSuffix(
                "all 3 samples are longer than max_length 20 (shortest 23, longest 82 tokens) and the policy is drop; "
                    + "raise max_length (to 82 to keep all) or use truncate or split"))
        #expect(
            failure(lines, TextDataOptions(maxLength: 20)).contains(
                "with max_length 20, none of the 3 samples (shortest 23, longest 82 tokens) keeps a token to train on"))
        #expect(failure(lines, TextDataOptions(maxLength: 1)) == "max_length: expected at least 2, got 1")
    }

    @Test("warnings count duplicates, empty answers and turns after the last answer, with the first place")
    func warnings() throws {
        let data = try dataset(
            """
            {"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}
            {"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}
            {"messages":[{"role":"user","content":"a"},{"role":"assistant","content":" "},{"role":"user","content":"x"}]}
            {"messages":[{"role":"user","content":"a"}]}
            """)
        #expect(data.samples.count == 3)
        #expect(
            data.summary.warnings == [
                "1 sample the same as an earlier one, word for word (first: data.jsonl:2)",
                "1 record has an empty answer, which teaches the model to say nothing (first: data.jsonl:3)",
                "1 conversation has no assistant turn; left out (first: data.jsonl:4)",
                "1 conversation goes on after the last answer; those turns are left out (first: data.jsonl:3)",
            ])
    }

    private func failure(_ lines: String, _ options: TextDataOptions) -> String {
        DatasetsTests.failure(lines, options: options)
    }
}
