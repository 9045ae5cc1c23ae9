// PyTorch's checkpoints: what torch.save writes is read as it was, and pickles with programs in them are refused.

import Foundation
import TestSupport
import Testing

@testable import Formats

@Suite("PyTorch checkpoints")
struct TorchCheckpointTests {
    private func golden(_ name: String) -> URL { goldens.appendingPathComponent(name) }

    @Test("every element type, views, copies of strided ones and empty tensors hold what PyTorch holds")
    func tensors() throws {
        let checkpoint = try TorchCheckpoint(golden("torch-mixed.ckpt"))
        let expected = try SafetensorsFile(golden("torch-mixed.safetensors")).tensors
        #expect(checkpoint.tensors.keys.sorted() == expected.keys.sorted())
        for (name, tensor) in checkpoint.tensors {
            let other = try #require(expected[name])
            #expect(tensor.shape == other.shape && tensor.type == other.type, "\(name)")
            #expect(try tensor.data() == other.data(), "\(name)")
        }
    }

    @Test("tensors are mapped where they lie, and only strided ones are copied")
    func mapped() throws {
        let checkpoint = try TorchCheckpoint(golden("torch-mixed.ckpt"))
        let copied = checkpoint.tensors.filter { $0.value.file !== checkpoint.file }.keys.sorted()
        #expect(copied == ["channels_last", "columns", "transposed"])
        #expect(checkpoint.tensors["slice"]?.offset == checkpoint.tensors["tied"]?.offset)
    }

    @Test("numbers beside the tensors are told, everything else is passed over")
    func integers() throws {
        let expected = ["epoch": 3, "global_step": 875_000, "negative": -1_099_511_627_776]
        #expect(try TorchCheckpoint(golden("torch-mixed.ckpt")).integers == expected)
    }

    @Test("without state_dict, the tensors are those of the whole")
    func flat() throws {
        let tensors = try TorchCheckpoint(golden("torch-flat.bin")).tensors
        #expect(tensors.mapValues(\.shape) == ["weight": [4, 6], "bias": [4]])
        #expect(try tensors["weight"]?.floats() == (0..<24).map { Float($0) / 8 })
    }

    @Test("an archive of more than 4 GiB has its sizes and places in a field of their own")
    func wide() throws {
        let list = try zip(["a/data.pkl": Array("}.".utf8), "a/version": [3]], isWide: true)
        try withTemporaryFolder { folder in
            let url = folder.appendingPathComponent("wide.ckpt")
            try list.write(to: url)
            #expect(try TorchCheckpoint(url).tensors.isEmpty)
            let entry = try #require(ZipArchive(MappedFile(url)).entries["a/version"])
            #expect(try ZipArchive(MappedFile(url)).range(of: entry) == 81..<82)
        }
    }

    @Test("a folder of safetensors may fall back on checkpoints, whole or in parts")
    func folder() throws {
        try withTemporaryFolder { folder in
            func copy(to name: String) throws {
                try FileManager.default.copyItem(
                    at: golden("torch-flat.bin"), to: folder.appendingPathComponent(name))
            }
            expectMessage(["model.safetensors: the folder has neither this file nor"]) {
                try SafetensorsFolder(folder, pickles: "pytorch_model")
            }
            try copy(to: "pytorch_model-00001-of-00001.bin")
            let index = #"{"weight_map": {"weight": "pytorch_model-00001-of-00001.bin"}}"#
            try Data(index.utf8).write(to: folder.appendingPathComponent("pytorch_model.bin.index.json"))
            let parts = try SafetensorsFolder(folder, pickles: "pytorch_model")
            #expect(parts.tensors.keys.sorted() == ["bias", "weight"])
            try copy(to: "pytorch_model.fp16.bin")
            try copy(to: "pytorch_model.bin")
            let whole = try SafetensorsFolder(folder, variants: ["fp16"], pickles: "pytorch_model")
            #expect(whole.files.map(\.url.lastPathComponent) == ["pytorch_model.bin"])
            expectMessage(["but pytorch_model-00001-of-00001.bin, which is not read because it can run programs"]) {
                try SafetensorsFolder(folder)
            }
        }
    }

    @Test("what is no archive of PyTorch's says what to do")
    func others() throws {
        expectMessage(["torch-legacy.pt: a checkpoint in PyTorch's format before 1.6", "weights_only=True"]) {
            try TorchCheckpoint(golden("torch-legacy.pt"))
        }
        expectMessage(["gguf-mixed.gguf: not a checkpoint of PyTorch; "]) {
            try TorchCheckpoint(golden("gguf-mixed.gguf"))
        }
        try withTemporaryFolder { folder in
            let url = folder.appendingPathComponent("some.zip")
            try zip(["notes.txt": Array("hello".utf8)]).write(to: url)
            expectMessage(["some.zip: a ZIP archive, but not one of PyTorch's: it has no data.pkl; unpack it"]) {
                try TorchCheckpoint(url)
            }
        }
    }

    // MARK: - Pickles by hand

    /// Expects a checkpoint with this pickle, and 16 bytes of storage `0`, to be refused.
    private func expectRefusal(
        _ pickle: [UInt8], _ fragments: String..., extra: [String: [UInt8]] = [:],
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        try withTemporaryFolder { folder in
            let url = folder.appendingPathComponent("bad.ckpt")
            let storage = ["a/data.pkl": pickle, "a/data/0": [UInt8](repeating: 0, count: 16)]
            try zip(storage.merging(extra) { $1 }).write(to: url)
            expectMessage(["bad.ckpt: "] + fragments, sourceLocation: sourceLocation) { try TorchCheckpoint(url) }
        }
    }

    private func call(_ module: String, _ name: String, _ argument: String = "touch /tmp/lora-was-here") -> [UInt8] {
        [0x80, 2] + "c\(module)\n\(name)\n".utf8 + "X".utf8 + [UInt8(argument.utf8.count), 0, 0, 0] + argument.utf8
            + [0x85] + "R.".utf8
    }

    @Test(
        "a pickle that calls a program is refused with the program's name, and nothing is run",
        arguments: [
            ("os", "system"), ("posix", "system"), ("nt", "system"), ("builtins", "eval"), ("builtins", "exec"),
            ("__builtin__", "eval"), ("__builtin__", "getattr"), ("subprocess", "Popen"), ("runpy", "_run_code"),
            ("torch.storage", "_load_from_bytes"), ("torch.hub", "load"), ("webbrowser", "open"),
            ("collections", "OrderedDict.__init__"), ("pytorch_lightning", "Trainer"),
        ])
    func programs(name: (String, String)) throws {
        let line = "asks Python for '\(name.0).\(name.1)', which no model needs; lora has run nothing of it"
        try expectRefusal(call(name.0, name.1), line, "use the model's .safetensors file")
        let stacked =
            [0x80, 4, 0x8C, UInt8(name.0.utf8.count)] + Array(name.0.utf8) + [0x8C, UInt8(name.1.utf8.count)]
            + Array(name.1.utf8) + [0x93] + Array("(tR.".utf8)
        try expectRefusal(stacked, line)
    }

    @Test("other ways of pickle to make objects are refused by their opcode")
    func opcodes() throws {
        try expectRefusal([0x80, 2] + Array("(S'touch x'\nios\nsystem\n.".utf8), "opcode 83 of pickle")
        try expectRefusal([0x80, 2] + Array("(ios\nsystem\n.".utf8), "opcode 105 of pickle")
        try expectRefusal([0x80, 2, 0x82, 1] + Array(".".utf8), "opcode 130 of pickle")
        try expectRefusal(Array("]".utf8) + Array("P1\n.".utf8), "opcode 80 of pickle", "lora has run nothing of it")
    }

    @Test("a pickle that breaks off or contradicts itself is damaged")
    func damage() throws {
        try expectRefusal([], "1 bytes expected, 0 are left; the file is damaged")
        try expectRefusal(Array(".".utf8), "a value is missing")
        try expectRefusal(Array("h\u{7}.".utf8), "nothing has been kept as 7")
        try expectRefusal(Array("t.".utf8), "the beginning of a list is missing")
        try expectRefusal(Array("}(Nu.".utf8), "a key without a value")
        try expectRefusal(Array("N(e.".utf8), "a list is missing")
        try expectRefusal(Array("NNNs.".utf8), "a dictionary is missing")
        try expectRefusal(Array("cos".utf8), "a line that does not end")
        try expectRefusal(Array("N)R.".utf8), "what is called is not a name")
        try expectRefusal([0x8D] + [UInt8](repeating: 255, count: 8), "9,223,372,036,854,775,807 bytes expected, 0")
        try expectRefusal(Array("NQ.".utf8), "a storage expected")
        try expectRefusal(Array("N.".utf8), "a checkpoint that is not a dictionary of tensors; save")
    }

    /// `{"x": a float tensor}` over storage `key`.
    private func tensor(_ offset: Int32, _ shape: [Int32], _ strides: [Int32], key: String = "0") -> [UInt8] {
        func number(_ value: Int32) -> [UInt8] { Array("J".utf8) + withUnsafeBytes(of: value.littleEndian, Array.init) }
        func text(_ value: String) -> [UInt8] { Array("X".utf8) + [UInt8(value.utf8.count), 0, 0, 0] + value.utf8 }
        func tuple(_ values: [Int32]) -> [UInt8] { Array("(".utf8) + values.flatMap(number) + Array("t".utf8) }
        var pickle: [UInt8] = Array("}".utf8) + text("x") + Array("ctorch._utils\n_rebuild_tensor_v2\n((".utf8)
        pickle += text("storage") + Array("ctorch\nFloatStorage\n".utf8) + text(key) + text("cpu") + number(4)
        pickle += Array("tQ".utf8) + number(offset) + tuple(shape) + tuple(strides)
        return pickle + [0x89] + Array("NtRs.".utf8)
    }

    @Test("tensors that reach beyond their bytes, or repeat them, are refused with their numbers")
    func views() throws {
        let beyond = "on reaches beyond its 4 elements"
        try expectRefusal(tensor(0, [5], [1]), "bad.ckpt: x: shape [5] with strides [1] from element 0 \(beyond)")
        try expectRefusal(tensor(1, [2, 2], [2, 1]), beyond)
        try expectRefusal(tensor(-1, [2], [1]), beyond)
        try expectRefusal(tensor(.max, [1], [1]), beyond)
        try expectRefusal(tensor(0, [2], [-1]), beyond)
        try expectRefusal(tensor(0, [-2], [1]), "a tensor of shape [-2]")
        try expectRefusal(tensor(0, [.max, .max, .max], [0, 0, 0]), "a tensor of shape")
        try expectRefusal(tensor(0, [.max], [0]), "repeats the elements that are stored; save it anew")
        try expectRefusal(tensor(0, [2, 2], [1]), "not numbers, one for each dimension")
        try expectRefusal(tensor(0, [Int32](repeating: 1, count: 9), [Int32](repeating: 1, count: 9)), "more than 8")
        try expectRefusal(tensor(0, [2], [1], key: "7"), "the archive has no data/7, which should hold it")
        try expectRefusal(tensor(0, [2], [1]), "big-endian machine", extra: ["a/byteorder": Array("big".utf8)])
    }

    @Test("a million nested lists are no harm")
    func nesting() throws {
        let deep = [UInt8](repeating: UInt8(ascii: "]"), count: 1_000_000)
        let closed = deep + [UInt8](repeating: UInt8(ascii: "a"), count: 999_999)
        try expectRefusal(closed + Array(".".utf8), "a checkpoint that is not a dictionary of tensors")
        try expectRefusal(
            [UInt8](repeating: UInt8(ascii: "N"), count: 1) + [UInt8](repeating: 0x85, count: 1_000_000)
                + Array(".".utf8), "a checkpoint that is not a dictionary")
    }

    // MARK: - Archives

    @Test("archives that are compressed, cut off or inconsistent are refused")
    func archives() throws {
        let whole = try zip(["a/data.pkl": Array("}.".utf8)])
        let list = try #require(whole.range(of: Data([0x50, 0x4B, 1, 2]))?.lowerBound)
        func expect(_ message: String, _ change: (inout Data) -> Void) throws {
            try withTemporaryFolder { folder in
                let url = folder.appendingPathComponent("bad.ckpt")
                var bytes = whole
                change(&bytes)
                try bytes.write(to: url)
                expectMessage([message]) { try TorchCheckpoint(url) }
            }
        }
        try expect("a/data.pkl: compressed or encrypted within the archive, which PyTorch never writes") {
            $0[list + 10] = 8
        }
        try expect("a/data.pkl: compressed or encrypted") { $0[list + 8] |= 1 }
        try expect("a ZIP archive without the list of its contents") { $0.removeLast() }
        try expect("the list of contents: 1 entries, 2 announced") { $0[$0.count - 12] = 2 }
        try expect("the list of contents: cut off or overwritten at its byte 0") { $0[list] = 0 }
        try expect("bytes, the file has") { $0.replaceSubrange((list + 42)..<(list + 46), with: [0, 0, 0, 64]) }
        try expect("no entry at byte 3, where one should be") { $0[list + 42] = 3 }
        try expect("4,000 bytes") { bytes in
            for place in [list + 20, list + 24] { bytes.replaceSubrange(place..<(place + 2), with: [0xA0, 0x0F]) }
        }
    }
}

/// An archive of stored entries, as `torch.save` and `zip -0` write them; a wide one as if it had more than 4 GiB.
private func zip(_ entries: [String: [UInt8]], isWide: Bool = false) throws -> Data {
    func number<T: FixedWidthInteger>(_ value: T) -> Data { withUnsafeBytes(of: value.littleEndian) { Data($0) } }
    var (file, list) = (Data(), Data())
    for (name, bytes) in entries.sorted(by: { $0.key < $1.key }) {
        let sizes = number(UInt32(0)) + number(UInt32(bytes.count)) + number(UInt32(bytes.count))
        let common = number(UInt16(0)) + number(UInt16(0)) + number(UInt32(0)) + sizes + number(UInt16(name.utf8.count))
        let field = [bytes.count, bytes.count, file.count].reduce(Data([1, 0, 24, 0])) { $0 + number(UInt64($1)) }
        let narrow = Data([0x50, 0x4B, 1, 2]) + number(UInt16(20)) + number(UInt16(20)) + common
        list += isWide ? narrow[..<20] + Data(repeating: 255, count: 8) + narrow[28...] : narrow
        list += number(UInt16(isWide ? field.count : 0)) + Data(count: 10)
        list += (isWide ? Data(repeating: 255, count: 4) : number(UInt32(file.count))) + Data(name.utf8)
        list += isWide ? field : Data()
        file += Data([0x50, 0x4B, 3, 4]) + number(UInt16(20)) + common + number(UInt16(0)) + Data(name.utf8)
        file += Data(bytes)
    }
    let count = number(UInt16(entries.count))
    return file + list + Data([0x50, 0x4B, 5, 6, 0, 0, 0, 0]) + count + count + number(UInt32(list.count))
        + number(UInt32(file.count)) + number(UInt16(0))
}
