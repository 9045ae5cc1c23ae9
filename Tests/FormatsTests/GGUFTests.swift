// GGUF files: everything the gguf package writes is read as it was meant; what is damaged is refused by name.

import Foundation
import TestSupport
import Testing

@testable import Formats

@Suite("GGUF files")
struct GGUFTests {
    private let golden = goldens.appendingPathComponent("gguf-mixed.gguf")

    @Test("every kind of metadata value is read as the gguf package wrote it")
    func metadata() throws {
        let file = try GGUFFile(golden)
        #expect((file.version, file.architecture, file.alignment) == (3, "llama", 64))
        #expect(try file.string("general.name") == "Ein Nämchen 🙂")
        #expect(try file.integer("test.uint8") == 255)
        #expect(try file.integer("test.int8") == -128)
        #expect(try file.integer("test.uint16") == 65535)
        #expect(try file.integer("test.int16") == -32768)
        #expect(try file.integer("test.uint32") == 4_294_967_295)
        #expect(try file.integer("test.int32") == -2_147_483_648)
        #expect(try file.integer("test.int64") == .min)
        guard case .large(.max) = file.metadata["test.uint64"] else { throw Unexpected() }
        #expect(try file.real("test.float32") == Double(Float(1e-5)))
        #expect(try file.real("test.float64") == 0.1)
        #expect(file.metadata["test.bool"]?.bool == true)
        #expect(try Array(file.strings("test.strings")) == ["", "a", "Ġthe", "🙂"])
        #expect(try file.integers("test.integers") == [1, -2, 3])
        #expect(file.metadata["test.floats"]?.reals == [0.5, -1.5])
        #expect(file.metadata["test.bools"]?.bools == [true, false])
        guard case .values(let nested) = file.metadata["test.nested"] else { throw Unexpected() }
        #expect(nested.map(\.integers) == [[1, 2], [3]])
        #expect(file.metadata.count == 19)
    }

    @Test("tensors have their row-major shape, their type and their floats")
    func tensors() throws {
        let file = try GGUFFile(golden)
        #expect(file.tensorNames == ["token_embd.weight", "blk.0.attn_q.weight", "output_norm.weight"])
        let embedding = try file.tensor("token_embd.weight")
        #expect((embedding.shape, embedding.type) == ([3, 4], .f32))
        #expect(try embedding.floats() == (0..<12).map(Float.init))
        let query = try file.tensor("blk.0.attn_q.weight")
        #expect((query.shape, query.type, query.byteCount) == ([2, 64], .q4_1, 80))
        #expect(try file.tensor("output_norm.weight").floats() == [1, 0.5, -2])
    }

    @Test("a key or tensor that is missing or of another kind is named")
    func required() throws {
        let file = try GGUFFile(golden)
        expectMessage(
            ["gguf-mixed.gguf: llama.block_count: the metadata lacks this key (an integer); convert the model anew"]
        ) { try file.integer("llama.block_count") }
        expectMessage(["general.name: an integer expected, got a text; "]) { try file.integer("general.name") }
        expectMessage(["test.floats: an array of texts expected, got an array of 2 numbers; "]) {
            try file.strings("test.floats")
        }
        expectMessage(["output.weight: the file has no such tensor; is it a llama model, and whole? It has 3 tensors"])
        {
            try file.tensor("output.weight")
        }
    }

    @Test(
        "other versions and byte orders are refused by name",
        arguments: [
            (1, "GGUF version 1, of August 2023; convert the model anew"),
            (4, "GGUF version 4, lora reads 2 and 3; "),
            (0x0300_0000, "a big-endian GGUF file, made for another kind of processor; "),
        ] as [(UInt32, String)])
    func versions(version: UInt32, message: String) throws {
        try refuse(GGUFBuilder(version: version).bytes, [message])
    }

    @Test("version 2 is read")
    func versionTwo() throws {
        var builder = GGUFBuilder(version: 2)
        builder.add(key: "general.architecture", type: 8)
        builder.add("qwen2")
        try open(builder.bytes) { #expect($0.architecture == "qwen2") }
    }

    @Test("a count beyond the file is refused before memory is taken")
    func counts() throws {
        try refuse(
            GGUFBuilder(tensors: .max).bytes,
            [
                "header: 18,446,744,073,709,551,615 tensors announced, 8 bytes are left for them; the file is damaged"
            ])
        try refuse(
            GGUFBuilder(values: 1 << 40).bytes, ["1,099,511,627,776 metadata values announced, 0 bytes are left"])
        try refuse(Data("GGUF\u{3}\0".utf8), ["header: 4 bytes expected at byte 4, 2 are left; "])
    }

    @Test("damaged metadata is refused with its key")
    func damagedMetadata() throws {
        try refuse(value(type: 13) { _ in }, ["key: its value has type 13, the format knows 0 to 12"])
        try refuse(value(type: 7) { $0.add(UInt8(2)) }, ["key: 0 or 1 expected for a truth value, got 2"])
        try refuse(value(type: 8) { $0.add(UInt64(99)) }, ["key: 99 bytes of text announced, 0 bytes are left"])
        try refuse(value(type: 4) { _ in }, ["key: 4 bytes expected at byte 84, 0 are left"])
        try refuse(array(of: 99, count: 1), ["key: its elements have type 99"])
        try refuse(array(of: 10, count: .max / 8), ["key: 2,305,843,009,213,693,951 elements announced, 0 bytes"])
        try refuse(
            array(of: 8, count: 1) { $0.add(UInt64(1) << 63) },
            [
                "key: text 0 says 9,223,372,036,854,775,808 bytes, 0 are left"
            ])
        try refuse(array(of: 8, count: 2) { $0.add("0123456789") }, ["key: the file ends before text 1 of 2"])
        try refuse(array(of: 9, count: 1, repeated: 6), ["key: arrays within arrays, more than 4 deep"])
    }

    @Test("a key that appears twice and an impossible alignment are refused")
    func duplicates() throws {
        try refuse(
            value(key: "general.architecture", type: 0) { $0.add(UInt8(0)) },
            [
                "general.architecture: this metadata key appears twice"
            ])
        try refuse(
            value(key: "general.alignment", type: 4) { $0.add(UInt32(0)) },
            [
                "general.alignment: a power of two up to 1,048,576 expected, got 0"
            ])
        try refuse(value(key: "general.alignment", type: 8) { $0.add("32") }, ["expected, got a text"])
        try refuse(GGUFBuilder(values: 0).bytes, ["general.architecture: the metadata lacks this key (a text)"])
    }

    @Test("one part of a split model is refused")
    func parts() throws {
        var builder = GGUFBuilder.llama(values: 3)
        builder.add(key: "split.count", type: 2)
        builder.add(UInt16(3))
        builder.add(key: "split.no", type: 2)
        builder.add(UInt16(0))
        try refuse(builder.bytes, ["part 1 of 3 of a split model; join the parts with `llama-gguf-split --merge"])
    }

    @Test(
        "a type that is not read is named with its tensor",
        arguments: [
            (23, "IQ4_XS"), (15, "Q8_K"), (34, "TQ1_0"), (4_000_000_000, "type 4000000000"),
        ] as [(UInt32, String)])
    func types(number: UInt32, name: String) throws {
        try refuse(
            tensor([256], type: number, offset: 0),
            [
                "blk.0.attn_q.weight: stored as \(name), which lora does not read; use a file of type Q4_K_M"
            ])
    }

    @Test("a tensor that does not fit its type or the file is refused")
    func damagedTensors() throws {
        try refuse(tensor([31, 2], type: 2, offset: 0), ["shape [2, 31] cannot be stored as Q4_0, in blocks of 32"])
        try refuse(tensor([1 << 33, 1 << 33], type: 0, offset: 0), ["cannot be stored as F32"])
        try refuse(tensor([1 << 63], type: 0, offset: 0), ["a dimension of 9,223,372,036,854,775,808"])
        try refuse(tensor([1, 1, 1, 1, 1], type: 0, offset: 0), ["5 dimensions, at most 4 exist"])
        try refuse(tensor([4], type: 0, offset: 4), ["its offset is 4, a multiple of 32 within"])
        try refuse(tensor([4], type: 0, offset: .max - 31), ["its offset is 18,446,744,073,709,551,584"])
        try refuse(
            tensor([400], type: 0, offset: 0),
            [
                "blk.0.attn_q.weight: its 1,600 bytes from byte 128 on reach beyond the file, which has 256; the file is"
            ])
    }

    @Test("tensors that overlap or share a name are refused")
    func overlaps() throws {
        for (name, offset, message) in [("b", 0, "b: its bytes overlap those of a"), ("a", 64, "a: two tensors have")] {
            var builder = GGUFBuilder.llama(tensors: 2)
            builder.add(tensor: "a", [16], type: 0, offset: 0)
            builder.add(tensor: name, [8], type: 0, offset: UInt64(offset))
            builder.add(zeros: 128)
            let expected = name == "b" ? [": its bytes overlap those of"] : [message]
            try refuse(builder.bytes, expected)
        }
    }

    @Test("a file of another kind is refused")
    func otherKind() throws {
        try refuse(Data("GGML....".utf8), ["not a GGUF file, which begins with \"GGUF\"; name a .gguf file"])
    }
}

extension GGUFTests {
    private struct Unexpected: Error {}

    private func value(
        key: String = "key", type: UInt32, _ fill: (inout GGUFBuilder) -> Void
    ) -> Data {
        var builder = GGUFBuilder.llama(values: 2)
        builder.add(key: key, type: type)
        fill(&builder)
        return builder.bytes
    }

    private func array(
        of type: UInt32, count: UInt64, repeated: Int = 1, _ fill: (inout GGUFBuilder) -> Void = { _ in }
    ) -> Data {
        value(type: 9) { builder in
            for _ in 0..<repeated {
                builder.add(type)
                builder.add(count)
            }
            fill(&builder)
        }
    }

    private func tensor(_ sizes: [UInt64], type: UInt32, offset: UInt64) -> Data {
        var builder = GGUFBuilder.llama(tensors: 1)
        builder.add(tensor: "blk.0.attn_q.weight", sizes, type: type, offset: offset)
        builder.add(zeros: 128)
        return builder.bytes
    }

    private func open(_ bytes: Data, _ body: (GGUFFile) throws -> Void) throws {
        try withTemporaryFolder { folder in
            let url = folder.appendingPathComponent("model.gguf")
            try bytes.write(to: url)
            try body(GGUFFile(url))
        }
    }

    private func refuse(
        _ bytes: Data, _ fragments: [String], sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        expectMessage(["model.gguf: "] + fragments, sourceLocation: sourceLocation) { try open(bytes) { _ in } }
    }
}
