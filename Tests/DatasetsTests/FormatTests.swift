// Files and formats: what is recognised, and one line for whatever is not.

import Foundation
import TestSupport
import Testing

@testable import Datasets

@Suite("Data files")
struct FormatTests {
    @Test(
        "are recognised by their keys",
        arguments: [
            (#"{"instruction":"a","output":"b"}"#, DataFormat.alpaca),
            (#"{"Instruction":"a","Context":"c","Response":"b","category":"x"}"#, .alpaca),
            (#"{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}"#, .messages),
            (#"{"conversations":[{"from":"human","value":"a"},{"from":"gpt","value":"b"}],"id":1}"#, .sharegpt),
            (#"{"QUESTION":"a","Answer":4}"#, .promptCompletion),
            (#"{"input":"a","output":"b"}"#, .promptCompletion),
            (#"{"text":"a","meta":{"n":[1,2.5e3,null]}}"#, .text),
        ])
    func recognition(_ line: String, _ format: DataFormat) throws {
        #expect(try dataset(line).summary.format == format)
    }

    @Test("give the same samples as JSONL, JSON, CSV and TSV, with BOM and CRLF")
    func kinds() throws {
        let expected = "<|a|>user\na, \"q\"\nb<|z|>\n<|a|>assistant\n«é\n»"
        let bom = "\u{FEFF}"
        let files = [
            ("a.jsonl", bom + #"{"prompt": "a, \"q\"\nb", "completion": "\u00e9\n"}"# + "\r\n\r\n"),
            ("a.json", "[\n" + #"{"prompt": "a, \"q\"\nb", "completion": "é\n"}"# + "\n]\n"),
            ("b.json", #"{"prompt": "a, \"q\"\nb", "completion": "é\n"}"#),
            ("a.csv", bom + "prompt,completion\r\n\"a, \"\"q\"\"\nb\",\"é\n\"\r\n\r\n"),
            ("a.tsv", "prompt\tcompletion\n\"a, \"\"q\"\"\nb\"\t\"é\n\""),
            ("b.csv", "id;prompt;completion\n7;\"a, \"\"q\"\"\nb\";\"é\n\""),
        ]
        for (name, content) in files {
            let data = try dataset(content, name)
            #expect(data.marked().replacing("<|z|>\n»", with: "»") == expected, "\(name)")
        }
    }

    @Test("in a folder are read in the order of their names, and others ignored with a warning")
    func folder() throws {
        try withTemporaryFolder { folder in
            let sub = folder.appendingPathComponent("b")
            try FileManager.default.createDirectory(at: sub, withIntermediateDirectories: true)
            for (name, text) in [
                ("c.txt", "three"), ("a.txt", "one"), ("b/x.txt", "two"), (".hidden.txt", "no"), ("z.png", ""),
            ] {
                try Data(text.utf8).write(to: folder.appendingPathComponent(name))
            }
            let data = try TextDataset(path: folder, tokenizer: chatTokenizer)
            #expect((0..<3).map { data.marked($0).dropFirst().prefix(3) } == ["«ne", "«wo", "«hr"])
            #expect(data.summary.files.map(\.path) == ["a.txt", "b/x.txt", "c.txt"])
            #expect(data.summary.warnings == ["ignored 1 file without text data (first: z.png)"])
        }
    }

    @Test("of plain text are divided at blank lines, at every line, or not at all")
    func textUnits() throws {
        for (unit, lines) in [(TextUnit.paragraph, [1, 5]), (.line, [1, 2, 5]), (.file, [1])] {
            var options = TextDataOptions()
            options.textUnit = unit
            let data = try dataset("a\r\nb\r\n \r\n\r\nc", "t.txt", options: options)
            #expect(data.samples.map(\.source.line) == lines)
        }
    }

    @Test(
        "that are damaged are refused in one line with file, line and cause",
        arguments: [
            ("{\"text\":\"a\"}\nhello", "data.jsonl:2: not JSON: expected an object, one a line, got 'hello'"),
            ("{\"text\":\"a\"}\n\n[1]", "data.jsonl:3: not JSON: expected an object, one a line, got '[1]'"),
            ("{\"text\":\"a", "data.jsonl:1: not JSON: the text \"a\" is not closed; expected '\"'"),
            ("{\"text\":\"a\tb\"}", "data.jsonl:1: not JSON: a tab (write \\t) inside the text \"a b\"}\""),
            ("{\"text\":1.}", "data.jsonl:1: not JSON: '1.' is not a number"),
            ("{\"text\":nul}", "data.jsonl:1: not JSON: expected a value, got 'nul}'"),
            ("{\"text\":\"a\"} x", "data.jsonl:1: not JSON: expected the end of the line, got 'x'"),
            ("{'text':'a'}", "data.jsonl:1: not JSON: expected a key in quotes, got ''text':'a'}'"),
            ("{\"text\":\"\\q\"}", "data.jsonl:1: not JSON: '\\q' is not an escape; a backslash is written '\\\\'"),
            ("{\"text\":\"\\\n\"}", "data.jsonl:1: not JSON: the text ends after a backslash"),
            ("{\"text\":\"\\ud800\"}", "data.jsonl:1: half a surrogate pair, \\ud800, is no character; remove it"),
            ("{\"text\":\"a\",}", "data.jsonl:1: not JSON: expected a key in quotes, got '}'"),
            ("{\"text\" \"a\"}", "data.jsonl:1: not JSON: expected ':' after the key 'text', got '\"a\"}'"),
            ("{\"text\":[\"a\"}", "data.jsonl:1: not JSON: expected ',' or ']', got '}'"),
            (
                "{\"foo\":1,\"bar\":2}",
                "data.jsonl:1: cannot tell the format from the keys: foo, bar; expected alpaca: instruction"
            ),
            ("{}", "data.jsonl:1: cannot tell the format from the keys: none; expected alpaca"),
            (
                #"{"messages":[{"role":"user","content":"a"},{"role":"asistant","content":"b"}]}"#,
                "data.jsonl:1: 'messages[1]': the role 'asistant' is unknown; use system, user, assistant or tool"
            ),
            ("{\"text\":null}", "data.jsonl:1: 'text': expected text, got null"),
            (
                "{\"text\":\"a\"}\n{\"prompt\":\"a\",\"completion\":\"b\"}",
                "data.jsonl:2: this is prompt/completion (keys: prompt, completion), but the data began as text at line 1; one"
            ),
            (
                "{\"instruction\":\"a\",\"output\":\"b\"}\n{\"instruction\":\"a\"}",
                "data.jsonl:2: the keys are: instruction; alpaca needs instruction, output"
            ),
            ("{\"messages\":[]}", "data.jsonl:1: 'messages': expected an array of turns, got an empty array"),
            (
                "{\"messages\":[{\"role\":\"user\"}]}",
                "data.jsonl:1: 'messages[0]': the keys are: role; expected role and content"
            ),
            (
                "{\"messages\":[{\"role\":\"user\",\"content\":5}]}",
                "data.jsonl:1: 'messages[0]': expected the content as text, got the number 5"
            ),
            (
                "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}",
                "data.jsonl: no sample has a token to train on; 1 conversation has no assistant turn"
            ),
            (
                "{\"instruction\":\"a\",\"output\":\"b\",\"history\":[1]}",
                "data.jsonl:1: 'history[0]': expected [question, answer], got the number 1"
            ),
            (String(repeating: "{\"a\":", count: 99), "data.jsonl:1: nested more than 64 levels deep"),
            ("", "data.jsonl: the data is empty (1 file, no samples); expected at least one sample"),
            ("\n\n  \n", "data.jsonl: the data is empty"),
        ])
    func damage(_ content: String, _ message: String) {
        let text = failure(content)
        #expect(text.hasPrefix(message), "\(text)")
        #expect(!text.contains("\n"))
    }

    @Test(
        "of other kinds are refused in one line",
        arguments: [
            (
                "a.csv", "prompt,completion\na,b\nc\n",
                "a.csv:3: expected 2 fields as in the header (prompt, completion), got 1"
            ),
            ("a.csv", "prompt,completion\n\"a,b\n", "a.csv:2: the quoted field that starts here is not closed"),
            ("a.csv", "prompt,completion\n\"a\n\nb\",c\nd\n", "a.csv:5: expected 2 fields"),
            ("a.csv", "prompt,completion\n\"a\"x,b\n", "a.csv:2: text after a closing quote: 'x,b '; write a quote"),
            ("a.csv", "prompt,completion\n", "a.csv: the data is empty"),
            ("a.csv", "a,b\n1,2\n", "a.csv:2: cannot tell the format from the keys: a, b; expected"),
            ("a.json", "[1]", "a.json:1: not JSON: expected an object, as each element of the array, got '1]'"),
            ("a.json", "[\n{\"text\":\"a\"}\n", "a.json:3: not JSON: expected ',' or ']', got the end of the text"),
            (
                "a.json", "[{\"text\":\"a\"}]\n7",
                "a.json:2: not JSON: expected the end of the file after the array, got '7'"
            ),
            ("a.json", "5", "a.json:1: not JSON: expected an array of objects, got '5'"),
            ("a.json", "[{\"text\":\"\\\n\"}]", "a.json:1: not JSON: '\\ ' is not an escape"),
            ("a.docx", "x", "a.docx: cannot tell what '.docx' holds; expected .jsonl, .json, .csv, .tsv or .txt"),
            ("a.jsonl", "PAR1xx", "a.jsonl: this is a Parquet file, not text; convert it to JSONL"),
        ])
    func otherKinds(_ name: String, _ content: String, _ message: String) {
        #expect(failure(content, name).hasPrefix(message), "\(failure(content, name))")
    }

    @Test(
        "that are not UTF-8 are refused with line and byte",
        arguments: [
            [0x61, 0x0A, 0x62, 0xFF], [0x61, 0x0A, 0xC0, 0x80], [0x61, 0x0A, 0xED, 0xA0, 0x80],
            [0x61, 0x0A, 0xF0, 0x9F, 0x98],
            [0x61, 0x0A, 0xF5, 0x80, 0x80, 0x80], [0x61, 0x0A, 0xE0, 0x80, 0x80], [0x61, 0x0A, 0x80],
        ])
    func invalidText(_ bytes: [UInt8]) throws {
        #expect(throws: DatasetError.self) { try dataset(bytes, "a.txt") }
        let message = #expect(throws: DatasetError.self) { try SourceText(bytes, file: "a.txt") }
        #expect("\(try #require(message))".hasPrefix("a.txt:2: byte 0x"))
        #expect("\(try #require(message))".hasSuffix("is not UTF-8; save the file as UTF-8"))
    }

    @Test("that do not exist, or a folder without data, are named")
    func missing() throws {
        try withTemporaryFolder { folder in
            func message(_ path: String) -> String {
                do {
                    return
                        "\(try TextDataset(path: folder.appendingPathComponent(path), tokenizer: chatTokenizer).summary)"
                } catch { return "\(error)" }
            }
            #expect(
                message("no.jsonl").hasSuffix("/no.jsonl: no such file or folder; check the path of the training data"))
            #expect(
                message("").contains("no training data in this folder (0 other files); expected files ending in .jsonl")
            )
        }
    }
}
