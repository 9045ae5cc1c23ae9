// Captions: where they come from, what is wrong with them, and how they vary.

import Foundation
import TestSupport
import Testing

@testable import Datasets

@Suite("Picture captions", .enabled(if: canReadPictures, "libvips is not here"))
struct PictureCaptionTests {
    @Test(
        "are read from a table with or without a header, with any usual names of its columns",
        arguments: [
            ("metadata.csv", "file_name,text\na.png,\"one, two\"\nb.jpg,three\n"),
            ("metadata.csv", "a.png,\"one, two\"\r\nb.jpg,three\r\n"),
            ("metadata.csv", "\u{FEFF}id,Prompt,Image\n1,\"one,  \n two\",./a.png\n2,three,b\n"),
            ("metadata.csv", "filename;caption\na.png;one, two\nb.jpg;three"),
            ("metadata.csv", "path,caption\nC:\\pictures\\a.png,\"one, two\"\n/data/b.jpg,three"),
            (
                "metadata.jsonl",
                #"{"file_name":"a.png","text":"one, two"}"# + "\n" + #"{"text":"three","file_name":"b.jpg"}"#
            ),
        ])
    func tables(name: String, content: String) throws {
        let data = try pictureDataset(["a.png": "=colour.png", "b.jpg": "=upright-1.jpg", name: content])
        #expect(data.samples.map(\.name) == ["a.png", "b.jpg"])
        #expect(data.samples.map(\.caption) == ["one, two", "three"])
        #expect(data.summary.origins == [.metadata: 2])
        #expect(data.files.map(\.lastPathComponent) == ["a.png", "b.jpg", name])
    }

    @Test("come from the first of metadata.csv, .jsonl, .txt, .caption and the folder's name that has one")
    func precedence() throws {
        let data = try pictureDataset([
            "metadata.csv": "file_name,text\na.png,from csv\nb.png,\n",
            "metadata.jsonl": #"{"file_name":"a.png","text":"x"}"# + "\n"
                + #"{"file_name":"b.png","text":"from jsonl"}"#,
            "a.png": "=colour.png", "a.txt": "x", "b.png": "=palette.png", "c.png": "=deep.png",
            "c.TXT": " from txt\r\n",
            "c.caption": "x", "d.png": "=deep-grey.png", "d.txt": "  \n", "d.caption": "from caption\nin\tlines",
            "3_red fox/e.webp": "=lossless.webp", "3_red fox/f.jpg": "=grey.jpg", "3_red fox/f.txt": "own",
            "3_red fox/metadata.csv": "e.webp,\n",
        ])
        #expect(
            data.samples.map { "\($0.name): \($0.caption)" } == [
                "3_red fox/e.webp: red fox", "3_red fox/f.jpg: own", "a.png: from csv", "b.png: from jsonl",
                "c.png: from txt", "d.png: from caption in\tlines",
            ])
        #expect(data.samples.map(\.repeats) == [3, 3, 1, 1, 1, 1] && data.samples[0].folder == "3_red fox")
        #expect(data.summary.origins == [.metadata: 2, .text: 2, .caption: 1, .folder: 1])
        #expect(
            data.summary.warnings.contains {
                $0 == "1 text file not read, since metadata describes the same picture (first: a.txt)"
            })
        #expect(data.summary.uses == 10)
    }

    @Test("come from metadata_path alone where that is given")
    func metadataPath() throws {
        try withPictures([
            "data/a.png": "=colour.png", "data/sub/b.png": "=palette.png", "data/metadata.csv": "a.png,no\n",
            "list.jsonl": #"{"image":"data/a.png","caption":"yes"}"# + "\n" + #"{"image":"b.png","caption":"too"}"#,
        ]) { folder in
            let data = try PictureDataset(
                path: folder.appendingPathComponent("data"), metadata: folder.appendingPathComponent("list.jsonl"),
                options: smallOptions)
            #expect(data.samples.map(\.caption) == ["yes", "too"])
            #expect(data.summary.warnings[1] == "metadata.csv is not read, since metadata_path names another file")
        }
    }

    @Test(
        "that cannot be used are errors with file and line",
        arguments: [
            (
                "name,words\na.png,x",
                "metadata.csv:1: expected a column file_name|filename|file|image|path and a column "
                    + "text|caption|prompt, or rows of a picture's file name and its caption without a header, got 'name, words'"
            ),
            ("file_name,label\na.png,x", "metadata.csv:1: expected a column"),
            (
                "a.png,x\nb.png,y",
                "metadata.csv:2: there is no picture 'b.png' in DIR; correct the name, add the picture, "
                    + "or remove the row"
            ),
            ("a.png,x\nA.PNG,y", "metadata.csv:2: there is no picture 'A.PNG' in DIR; did you mean 'a.png'?"),
            ("a.png,1girl, solo", "metadata.csv:1: expected 2 fields, got 3; put quotes around captions with commas"),
            ("a.png,x\na.png,y", "metadata.csv:2: 'a.png' has another caption on line 1; keep one of them"),
            ("c.png,x", "metadata.csv:1: 'c.png' could be s/c.png or t/c.png; write its path"),
            ("a.png,\"x", "metadata.csv:1: the quoted field that starts here is not closed"),
        ])
    func errors(content: String, expected: String) throws {
        let error = try pictureError([
            "a.png": "=colour.png", "s/c.png": "=deep.png", "t/c.png": "=palette.png", "metadata.csv": content,
        ])
        #expect(error.hasPrefix(expected) && !error.contains("\n"), "\(error)")
    }

    @Test("in JSON that cannot be used are errors with file and line")
    func jsonErrors() throws {
        for (content, expected) in [
            (#"{"file_name":"a.png"}"#, "metadata.jsonl:1: expected a column file_name|"),
            ("\n" + #"{"file_name":"a.png","text":5}"#, "metadata.jsonl:2: 'text': expected text, got the number 5"),
            ("[]", "metadata.jsonl:1: not JSON: expected an object, one a line, got '[]'"),
        ] {
            let error = try pictureError(["a.png": "=colour.png", "metadata.jsonl": content])
            #expect(error.hasPrefix(expected), "\(error)")
        }
    }

    @Test("that are missing everywhere are an error, but a trigger word will do")
    func none() throws {
        let files: KeyValuePairs = ["a.png": "=colour.png", "b.png": "=palette.png", "b.txt": "\n"]
        #expect(
            try pictureError(files)
                == "DIR: none of the 2 pictures has a caption; write metadata.csv (file_name,text), or a .txt file beside "
                + "each picture, or name the folder below this one 10_<name>")
        var options = smallOptions
        options.captions.triggerWord = "sks"
        let data = try pictureDataset(files, options)
        #expect(data.samples.map(\.caption) == ["sks", "sks"])
        #expect(data.summary.warnings.contains("2 pictures without a caption, trained as 'sks' (first: a.png)"))
    }

    @Test("that are odd are warnings with the first of them")
    func warnings() throws {
        let data = try pictureDataset([
            "a.png": "=colour.png", "b.png": "=palette.png", "readme.txt": "x", "x.caption": "x", "photo.bmp": "",
            "metadata.csv": "a.png,x\na.png,x\n", "a.mask.png": "=colour.png", "y.mask.png": "=colour.png",
        ])
        #expect(
            data.summary.warnings.sorted() == [
                "1 mask of no picture (first: y.mask.png)",
                "1 picture without a caption (first: b.png)",
                "1 picture without a mask, trained as a whole",
                "1 row the same as an earlier one (first: metadata.csv:2, 'a.png')",
                "2 pictures under 64 pixels wide or high (first: a.png, 40 × 24)",
                "2 text files describe no picture (first: readme.txt)",
                "ignored 1 file neither picture nor caption (first: photo.bmp)",
            ])
    }

    // MARK: - Variation

    private func captions(_ caption: String, _ count: Int = 400, _ change: (inout CaptionRule) -> Void) -> [String] {
        var rule = CaptionRule()
        change(&rule)
        let sample = sample("a.png", caption: caption, rule: rule)
        return (0..<count).map { sample.caption(draw: $0) }
    }

    @Test("begin with the trigger word, once")
    func trigger() {
        #expect(captions("a cat", 1) { $0.triggerWord = "sks" } == ["sks, a cat"])
        #expect(captions("sks, a cat", 1) { $0.triggerWord = "sks" } == ["sks, a cat"])
        #expect(captions("sks dog", 1) { $0.triggerWord = "sks" } == ["sks dog"])
        #expect(captions("sksy dog", 1) { $0.triggerWord = "sks" } == ["sks, sksy dog"])
        var rule = CaptionRule()
        rule.triggerWord = "sks"
        #expect(sample("a", caption: "dog", rule: rule, isRegularisation: true).caption(draw: 0) == "dog")
    }

    @Test("are shuffled between commas, but for the tags that are kept")
    func shuffle() {
        let all = captions("sks, a ,b,, c, d") { ($0.shufflesTags, $0.keptTags, $0.triggerWord) = (true, 1, "sks") }
        #expect(Set(all).count == 6 && all.allSatisfy { $0.hasPrefix("sks, a, ") && $0.count == 15 })
        let bare = captions("a, b, c") { ($0.shufflesTags, $0.triggerWord) = (true, "sks") }
        #expect(Set(bare).count == 6 && bare.allSatisfy { $0.hasPrefix("sks, ") })
        #expect(Set(captions("a, b") { ($0.shufflesTags, $0.keptTags) = (true, 9) }) == ["a, b"])
    }

    @Test("are left out as often as asked")
    func dropout() {
        let all = captions("a cat", 4000) { ($0.dropout, $0.triggerWord) = (0.1, "sks") }
        let empty = all.count { $0.isEmpty }
        #expect(abs(empty - 400) < 60 && all.count { $0 == "sks, a cat" } == 4000 - empty)
    }

    @Test("follow from seed, name and use alone")
    func determinism() {
        func some(_ name: String, _ seed: UInt64) -> [String] {
            var rule = CaptionRule()
            (rule.shufflesTags, rule.dropout, rule.seed) = (true, 0.2, seed)
            let sample = sample(name, caption: "a, b, c, d, e", rule: rule)
            return (0..<8).map { sample.caption(draw: $0) }
        }
        #expect(some("a.png", 1) == some("a.png", 1))
        #expect(some("a.png", 1) != some("b.png", 1) && some("a.png", 1) != some("a.png", 2))
        // A resumed run depends on this.
        #expect(some("a.png", 42).prefix(2) == ["d, c, b, a, e", "c, b, d, e, a"])
    }

    @Test("that cannot vary as asked are refused")
    func refusals() {
        for (dropout, kept, expected) in [
            (1.0, 0, "caption_dropout: expected 0 to below 1, got 1.0"),
            (-0.5, 0, "caption_dropout: expected 0 to below 1, got -0.5"),
            (.nan, 0, "caption_dropout: expected 0 to below 1, got nan"),
            (0, -1, "keep_tokens: expected 0 or more, got -1"),
        ] {
            var rule = CaptionRule()
            (rule.dropout, rule.keptTags) = (dropout, kept)
            let error = #expect(throws: DatasetError.self) { try rule.check() }
            #expect(error?.description == expected)
        }
    }
}
