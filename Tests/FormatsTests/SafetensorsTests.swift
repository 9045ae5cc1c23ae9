// Safetensors files: equal to the reference implementation in both directions; what is damaged is refused by name.

import Foundation
import TestSupport
import Testing

@testable import Formats

@Suite("Safetensors files")
struct SafetensorsTests {
    private let mixed = goldens.appendingPathComponent("safetensors-mixed.safetensors")
    private let sharded = goldens.appendingPathComponent("safetensors-sharded")

    @Test("every element type, name and text of the reference implementation's file is read")
    func reading() throws {
        let file = try SafetensorsFile(mixed)
        #expect(file.metadata == ["format": "pt \"é\"\\\u{1}"])
        #expect(file.tensors.count == 13)
        let values = try file.tensor("b.float").floats()
        #expect(values.count == 6 && values.allSatisfy { $0 != 0 })
        #expect(try file.tensor("a.double").floats() == values)
        for (name, rounding) in [("c.half", Float(0.001)), ("d.bfloat", 0.01)] {
            #expect(try zip(file.tensor(name).floats(), values).allSatisfy { abs($0 - $1) <= rounding * abs($1) })
        }
        #expect(try file.tensor("e.long").floats() == [-1, 4_611_686_018_427_387_904])
        #expect(try file.tensor("f.int").floats() == [-7, 9] && file.tensor("f.int").shape == [2, 1])
        #expect(try file.tensor("g.short").floats() == [-300, 300])
        #expect(try file.tensor("h.char").floats() == [-1, 2, 3])
        #expect(try file.tensor("i.byte").floats() == [255])
        #expect(try file.tensor("j.bool").floats() == [1, 0, 1])
        #expect(try file.tensor("scalar").floats() == [0.5] && file.tensor("scalar").shape == [])
        #expect(try file.tensor("none").floats() == [] && file.tensor("none").shape == [0, 4])
        #expect(try file.tensor("name \"quoted\"\n\tümlaut 🙂").floats() == [1])
    }

    @Test("what is written equals the reference implementation's file byte for byte")
    func writing() throws {
        let file = try SafetensorsFile(mixed)
        let entries = try file.tensors.values.map {
            SafetensorsWriter.Entry(name: $0.name, type: $0.type, shape: $0.shape, data: try $0.data())
        }
        try withTemporaryFolder { folder in
            let url = folder.appendingPathComponent("copy.safetensors")
            try SafetensorsWriter.write(entries, metadata: file.metadata, to: url)
            #expect(try Data(contentsOf: url) == Data(contentsOf: mixed))
        }
    }

    @Test("the order of entries and of metadata does not change the bytes")
    func determinism() throws {
        let entries = (0..<5).map { SafetensorsWriter.Entry(name: "t\($0)", shape: [2], floats: [Float($0), -1]) }
        try withTemporaryFolder { folder in
            let urls = ["a", "b"].map(folder.appendingPathComponent)
            let metadata = Dictionary((0..<9).map { ("k\($0)", "v") }) { first, _ in first }
            try SafetensorsWriter.write(entries, metadata: metadata, to: urls[0])
            try SafetensorsWriter.write(entries.reversed(), metadata: metadata, to: urls[1])
            #expect(try Data(contentsOf: urls[0]) == Data(contentsOf: urls[1]))
            #expect(try SafetensorsFile(urls[0]).metadata == metadata)
            #expect(try SafetensorsFile(urls[0]).tensor("t3").floats() == [3, -1])
        }
    }

    @Test("a file without tensors is written and read")
    func empty() throws {
        try withTemporaryFolder { folder in
            let url = folder.appendingPathComponent("empty.safetensors")
            try SafetensorsWriter.write([], to: url)
            #expect(try SafetensorsFile(url).tensors.isEmpty)
        }
    }

    @Test(
        "what does not fit together is not written",
        arguments: [
            (["a", "a"], ElementType.f32, [1], 4, "a: this name is taken"),
            (["__metadata__"], .f32, [1], 4, "__metadata__: this name is taken"),
            (["a"], .q4_0, [32], 18, "a: safetensors has no type Q4_0"),
            (["a"], .f32, [-1], 4, "a: shape [-1] is impossible"),
            (["a"], .f32, [.max, 2], 4, "is impossible"),
            (["a"], .f32, [2], 4, "a: 4 bytes given for shape [2] of F32"),
        ] as [([String], ElementType, [Int], Int, String)])
    func inconsistent(names: [String], type: ElementType, shape: [Int], bytes: Int, message: String) throws {
        try withTemporaryFolder { folder in
            let url = folder.appendingPathComponent("out.safetensors")
            let entries = names.map {
                SafetensorsWriter.Entry(name: $0, type: type, shape: shape, data: Data(count: bytes))
            }
            expectMessage(["out.safetensors: ", message, "; nothing was written"]) {
                try SafetensorsWriter.write(entries, to: url)
            }
            let left = try FileManager.default.contentsOfDirectory(atPath: folder.path)
            #expect(left.isEmpty)
        }
    }

    @Test("a missing tensor is named")
    func missing() throws {
        expectMessage(["mixed.safetensors: lm_head.weight: the file has no such tensor; is it the right file"]) {
            try SafetensorsFile(mixed).tensor("lm_head.weight")
        }
    }
}

@Suite("Damaged safetensors files")
struct DamagedSafetensorsTests {
    @Test("a length of the header that the file does not have is refused")
    func headerLength() throws {
        let long = UInt64(Int.max)
        try refuse(
            header: "", length: long, data: 1016,
            [
                "model.safetensors: the header says 9,223,372,036,854,775,807 bytes, the file has 1,024; "
                    + "the file is damaged or cut off: fetch it again"
            ])
        try refuse(header: "", length: .max, ["the header says 18,446,744,073,709,551,615 bytes, the file has 8"])
        try refuse(header: "{}", length: 3, ["the header says 3 bytes, the file has 10"])
    }

    @Test("a header beyond 100 MB and a file below 8 bytes are refused")
    func headerLimits() throws {
        try withTemporaryFolder { folder in
            let url = folder.appendingPathComponent("model.safetensors")
            try Data(count: 7).write(to: url)
            expectMessage(["7 bytes are too few for a safetensors file; "]) { try SafetensorsFile(url) }
            try withUnsafeBytes(of: UInt64(100_000_001).littleEndian) { Data($0) }.write(to: url)
            truncate(url.path, 100_000_100)
            expectMessage(["a header of 100,000,001 bytes, at most 100,000,000 are read; "]) {
                try SafetensorsFile(url)
            }
        }
    }

    @Test(
        "a header that is not the JSON of the format is refused with the byte",
        arguments: [
            ("", "header, byte 8: '{' expected; "),
            ("[]", "byte 8: '{' expected"),
            (#"{"a":1}"#, "byte 13: '{' expected"),
            (#"{"a":{"dtype":"F32","shape":[1]}}"#, "'a' lacks its dtype, its shape or its two data_offsets"),
            (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,4]}}"#, "its two data_offsets"),
            (#"{"a":{"dtype":3}}"#, "'\"' expected"),
            (#"{"a":{"shape":[-1]}}"#, "a whole number ≥ 0 expected"),
            (#"{"a":{"shape":[1.5]}}"#, "a whole number ≥ 0 expected"),
            (#"{"a":{"shape":[9223372036854775808]}}"#, "a number beyond 9,223,372,036,854,775,807"),
            (#"{"__metadata__":{"a":1}}"#, "'\"' expected"),
            (#"{"__metadata__":{"a":"","a":""}}"#, "the metadata key 'a' appears twice"),
            (#"{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"a":{}}"#, "'a' appears twice"),
            ("{} x", "something follows the last brace"),
            (#"{"a"#, "a string without end"),
            (#"{"\x":1}"#, "an unknown escape in a string"),
            (#"{"\u12g4":1}"#, "four hexadecimal digits expected"),
            (#"{"\ud800":1}"#, "half of a surrogate pair"),
            (#"{"\udc00":1}"#, "half of a surrogate pair"),
            ("{\"a\u{1}\":1}", "a control character within a string"),
            ("{\"a\":{\"x\":" + String(repeating: "[", count: 100), "values nested more than 64 deep"),
        ] as [(String, String)])
    func json(header: String, message: String) throws {
        try refuse(header: header, data: 4, [message])
    }

    @Test("text that is not UTF-8 is refused")
    func encoding() throws {
        let header = Data("{\"".utf8) + [0xFF] + Data("\":1}".utf8)
        try refuse(header: header, length: UInt64(header.count), data: 0, ["text that is not UTF-8"])
    }

    @Test(
        "offsets that leave the file, a hole or an overlap are refused with the tensor",
        arguments: [
            ("[4]", "[0,16]", 8, "a: its bytes end at 16, the file has 8 after the header"),
            ("[2]", "[4,12]", 12, "a: its bytes are 4 to 12, the tensor before it ends at 0"),
            ("[2]", "[8,0]", 8, "a: its bytes are 8 to 0, the tensor before it ends at 0"),
            ("[3]", "[0,8]", 8, "a: shape [3] of F32 takes 12 bytes, its data_offsets give 8"),
            ("[9223372036854775807,9]", "[0,8]", 8, "takes more than any file can hold, its data_offsets give 8"),
            ("[2]", "[0,8]", 12, ": the tensors end at byte 70, the file at 74; "),
            ("[0]", "[0,9223372036854775807]", 8, "its bytes end at 9,223,372,036,854,775,807"),
        ] as [(String, String, Int, String)])
    func offsets(shape: String, offsets: String, data: Int, message: String) throws {
        try refuse(header: entry("a", shape, offsets).braced, data: data, ["model.safetensors: ", message])
    }

    @Test("tensors that overlap are refused")
    func overlap() throws {
        let entries = [entry("a", "[2]", "[0,8]"), entry("b", "[2]", "[4,12]")].joined(separator: ",")
        try refuse(header: entries.braced, data: 12, ["b: its bytes are 4 to 12, the tensor before it ends at 8"])
    }

    @Test("a type that is not read is named with its tensor", arguments: ["F8_E4M3", "U64", "Q4_0", "X\\n"])
    func types(type: String) throws {
        try refuse(
            header: entry("a.weight", "[4]", "[0,4]", type: type).braced, data: 4,
            [
                "a.weight: stored as \(type == "X\\n" ? "X\\u{a}" : type), which lora does not read; "
                    + "use a file of type F32, F16 or BF16"
            ])
    }

    @Test("unknown keys of a tensor and white space are passed over")
    func tolerance() throws {
        let text =
            #" { "a" : { "x" : [ { "y" : null } , -1.5e3 , "z" , true ] , "dtype" : "F32" , "shape" : [ ] , "#
            + #""data_offsets" : [ 0 , 4 ] } } "#
        try open(header: Data(text.utf8), length: UInt64(text.utf8.count), data: 4) { file in
            let floats = try file.tensor("a").floats()
            #expect(floats == [0])
        }
    }

    private func entry(_ name: String, _ shape: String, _ offsets: String, type: String = "F32") -> String {
        #""\#(name)":{"dtype":"\#(type)","shape":\#(shape),"data_offsets":\#(offsets)}"#
    }

    private func open(header: Data, length: UInt64, data: Int, _ body: (SafetensorsFile) throws -> Void) throws {
        try withTemporaryFolder { folder in
            let url = folder.appendingPathComponent("model.safetensors")
            let bytes = withUnsafeBytes(of: length.littleEndian) { Data($0) } + header + Data(count: data)
            try bytes.write(to: url)
            try body(SafetensorsFile(url))
        }
    }

    private func refuse(
        header: Data, length: UInt64, data: Int, _ fragments: [String],
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        expectMessage(fragments, sourceLocation: sourceLocation) {
            try open(header: header, length: length, data: data) { _ in }
        }
    }

    private func refuse(
        header: String, length: UInt64? = nil, data: Int = 0, _ fragments: [String],
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let bytes = Data(header.utf8)
        let length = length ?? UInt64(bytes.count)
        try refuse(header: bytes, length: length, data: data, fragments, sourceLocation: sourceLocation)
    }
}

extension String {
    fileprivate var braced: String { "{\(self)}" }
}

@Suite("Sharded safetensors")
struct SafetensorsFolderTests {
    private let golden = goldens.appendingPathComponent("safetensors-sharded")

    /// Copies the golden folder, lets `change` damage it and opens it.
    private func opening(_ change: (URL) throws -> Void) throws -> SafetensorsFolder {
        try withTemporaryFolder { folder in
            let copy = folder.appendingPathComponent("model")
            try FileManager.default.copyItem(at: golden, to: copy)
            try change(copy)
            return try SafetensorsFolder(copy)
        }
    }

    private func index(_ map: String) -> (URL) throws -> Void {
        {
            try Data(#"{"weight_map":{\#(map)}}"#.utf8).write(
                to: $0.appendingPathComponent("model.safetensors.index.json"))
        }
    }

    @Test("the shards of an index are read as one")
    func shards() throws {
        let folder = try SafetensorsFolder(golden)
        #expect(folder.files.count == 2 && folder.metadata == ["format": "pt"])
        #expect(try folder.tensors["first"]?.floats() == [1, 1, 1, 1])
        #expect(try folder.tensors["second"]?.floats() == [2, 2, 2, 2])
    }

    @Test("a whole file has precedence over an index")
    func whole() throws {
        let folder = try opening {
            let entry = SafetensorsWriter.Entry(name: "only", shape: [1], floats: [3])
            try SafetensorsWriter.write([entry], to: $0.appendingPathComponent("model.safetensors"))
        }
        #expect(Array(folder.tensors.keys) == ["only"])
    }

    @Test("a variant is read where it is asked for and nothing else is there, whole or in shards")
    func variants() throws {
        func write(_ name: String, _ value: Float, in folder: URL) throws {
            let entry = SafetensorsWriter.Entry(name: "x", shape: [1], floats: [value])
            try SafetensorsWriter.write([entry], to: folder.appendingPathComponent(name))
        }
        try withTemporaryFolder { folder in
            func read() throws -> [Float]? {
                try SafetensorsFolder(folder, stem: "net", variants: ["fp16", "bf16"]).tensors["x"]?.floats()
            }
            try write("net-00001-of-00001.bf16.safetensors", 1, in: folder)
            try Data(#"{"weight_map":{"x":"net-00001-of-00001.bf16.safetensors"}}"#.utf8)
                .write(to: folder.appendingPathComponent("net.safetensors.index.bf16.json"))
            #expect(try read() == [1])
            try write("net.fp16.safetensors", 2, in: folder)
            #expect(try read() == [2])
            expectMessage(["neither this file nor net.safetensors.index.json; fetch"]) {
                try SafetensorsFolder(folder, stem: "net")
            }
            try write("net.safetensors", 3, in: folder)
            #expect(try read() == [3])
        }
    }

    @Test("pickled weights are named where there are no others")
    func pickled() throws {
        try withTemporaryFolder { folder in
            try Data("x".utf8).write(to: folder.appendingPathComponent("net.bin"))
            expectMessage([
                "net.safetensors.index.json, but net.bin, which is not read because it can run programs; fetch"
            ]) {
                try SafetensorsFolder(folder, stem: "net")
            }
        }
    }

    @Test("a shard that is not there is named")
    func missingShard() {
        expectMessage([
            "00002.safetensors: model.safetensors.index.json: the index lists this file, but it is not there"
        ]) {
            try opening {
                try FileManager.default.removeItem(at: $0.appendingPathComponent("model-00002-of-00002.safetensors"))
            }
        }
    }

    @Test("an index that contradicts its files, or is none, is refused")
    func wrongIndex() {
        expectMessage(["index.json: third: model-00001-of-00002.safetensors does not hold this tensor, though"]) {
            try opening(
                index(#""first":"model-00001-of-00002.safetensors","third":"model-00001-of-00002.safetensors""#))
        }
        expectMessage(["weight_map: '../secret' is not the name of a file in this folder"]) {
            try opening(index(#""first":"../secret""#))
        }
        expectMessage(["index.json: not an index: an object 'weight_map'"]) { try opening(index(#""first":1"#)) }
    }

    @Test("two shards with the same tensor are refused")
    func sameName() {
        expectMessage(["first: ", "holds a tensor of this name, too"]) {
            try opening { folder in
                let shard = folder.appendingPathComponent("model-00001-of-00002.safetensors")
                try FileManager.default.copyItem(at: shard, to: folder.appendingPathComponent("x.safetensors"))
                try index(#""first":"x.safetensors","second":"model-00002-of-00002.safetensors""#)(folder)
                let entry = SafetensorsWriter.Entry(name: "second", shape: [1], floats: [0])
                let first = SafetensorsWriter.Entry(name: "first", shape: [1], floats: [0])
                let other = folder.appendingPathComponent("model-00002-of-00002.safetensors")
                try SafetensorsWriter.write([entry, first], to: other)
            }
        }
    }

    @Test("a folder without safetensors says what is expected")
    func absent() throws {
        try withTemporaryFolder { folder in
            expectMessage([
                "adapter_model.safetensors: the folder has neither this file nor adapter_model.safetensors.index"
            ]) {
                try SafetensorsFolder(folder, stem: "adapter_model")
            }
        }
    }
}
