// Picture adapters: read from every program's files as diffusers computes with them, written so that all of it returns.

import Formats
import Foundation
import NN
import TestSupport
import Testing
import Torch

@testable import LoRA
@testable import Models

@Suite("Picture adapters")
struct PictureAdaptersTests {
    private static let folder = goldens.appendingPathComponent("picture-adapters")

    private static func golden(_ name: String) -> URL { folder.appendingPathComponent("\(name).safetensors") }

    private func read(_ url: URL, for parts: StableDiffusion) throws -> PictureAdapters {
        try PictureAdapters.read(url, for: parts.unet, parts.textEncoder, on: .cpu)
    }

    /// States of the golden's texts, and the prediction from them.
    private func computed(_ tiny: TinyDiffusion) throws -> (text: Tensor, y: Tensor) {
        try withoutGradients {
            let text = try tiny.parts.textEncoder(tiny.tokens)
            return (text, try tiny.predicted("odd", context: text))
        }
    }

    private func expectGolden(_ tiny: TinyDiffusion, _ name: String, within tolerance: Double = 2e-5) throws {
        let expected = try SafetensorsFile(Self.golden("\(name).expected"))
        let actual = try computed(tiny)
        try expectNear(actual.text, expected.tensor("text"), within: tolerance)
        try expectNear(actual.y, expected.tensor("y"), within: tolerance)
    }

    static let files: [(name: String, kind: TinyDiffusion.Kind)] = [
        ("kohya", .sd1), ("alphas", .sd1), ("old", .sd1), ("new", .sd1), ("peft", .sd1), ("pocket", .pocket),
    ]

    @Test(
        "files of kohya, of diffusers with old and new keys, and of PEFT give diffusers' prediction", arguments: files)
    func parity(file: (name: String, kind: TinyDiffusion.Kind)) throws {
        let tiny = try TinyDiffusion(file.kind)
        let before = try computed(tiny)
        let adapters = try read(Self.golden(file.name), for: tiny.parts)
        adapters.attach()
        try expectGolden(tiny, file.name)
        adapters.detach()
        let after = try computed(tiny)
        #expect(
            try after.text.array(Float.self) == before.text.array() && after.y.array(Float.self) == before.y.array())
    }

    @Test(
        "what is written in any keys and types is read again, and predicts the same",
        arguments: PictureKeys.allCases, [ElementType.f32, .f16, .bf16])
    func roundTrip(keys: PictureKeys, type: ElementType) throws {
        let tiny = try TinyDiffusion(.sd1)
        let original = try read(Self.golden("alphas"), for: tiny.parts)
        let both = PictureAdapters(
            unet: original.unet, textEncoder: try read(Self.golden("kohya"), for: tiny.parts).textEncoder)
        both.setStrength(unet: 0.25, textEncoder: 0)  // is not written
        try withTemporaryFolder { folder in
            let url = folder.appendingPathComponent("x.safetensors")
            try both.write(keys, as: type, to: url)
            let again = try read(url, for: tiny.parts)
            try expectSame(again.unet, both.unet, type)
            try expectSame(again.textEncoder, both.textEncoder, type)
            let metadata = try SafetensorsFile(url).metadata
            #expect(keys == .kohya ? metadata["sshs_model_hash"]?.count == 64 : metadata == ["format": "pt"])
        }
    }

    /// Expects the same layers, ranks and updates, as exact as the type is.
    private func expectSame(_ actual: LoRASet?, _ expected: LoRASet?, _ type: ElementType) throws {
        let (actual, expected) = (try #require(actual).entries, try #require(expected).entries)
        #expect(actual.map(\.path) == expected.map(\.path))
        let tolerance = type == .f32 ? 1e-6 : type == .f16 ? 1e-3 : 8e-3
        for (one, other) in zip(actual, expected) {
            #expect(one.adapter.a.shape == other.adapter.a.shape && one.adapter.strength == 1)
            let updates = try [one, other].map { try ($0.adapter.b * $0.adapter.scale).array(Float.self) }
            #expect(Distance.largest(updates[0], updates[1]) <= tolerance, "\(one.path)")
            #expect(try Distance.largest(one.adapter.a.array(), other.adapter.a.array()) <= tolerance, "\(one.path)")
        }
    }

    @Test("kohya's file written again has the same tensors, element by element")
    func sameTensors() throws {
        let tiny = try TinyDiffusion(.sd1)
        try withTemporaryFolder { folder in
            let url = folder.appendingPathComponent("x.safetensors")
            try read(Self.golden("kohya"), for: tiny.parts).write(.kohya, as: .f16, to: url)
            let (ours, theirs) = (try SafetensorsFile(url).tensors, try SafetensorsFile(Self.golden("kohya")).tensors)
            #expect(Set(ours.keys) == Set(theirs.keys))
            for (name, tensor) in theirs {
                let our = try #require(ours[name])
                #expect(our.type == tensor.type && our.shape == tensor.shape, "\(name)")
                #expect(try our.data() == tensor.data(), "\(name)")
            }
        }
    }

    @Test(
        "α / √rank becomes an α that others divide by the rank; shapes are the layer's",
        arguments: [TinyDiffusion.Kind.sd1, .sd2])
    func rankStabilised(kind: TinyDiffusion.Kind) throws {
        let tiny = try TinyDiffusion(kind)
        let config = LoRAConfig(rank: 3, alpha: 2, isRankStabilised: true, targets: ["proj_in", "conv_in"])
        let set = try LoRASet.inject(config, into: tiny.parts.unet, seed: 1, on: .cpu)
        try withTemporaryFolder { folder in
            let url = folder.appendingPathComponent("x.safetensors")
            try PictureAdapters(unet: set).write(.kohya, to: url)
            let file = try SafetensorsFile(url), alpha = try file.tensor("lora_unet_conv_in.alpha")
            #expect(try alpha.type == .f32 && alpha.shape == [] && alpha.floats() == [Float(2 * 3.0.squareRoot())])
            let stem = "lora_unet_mid_block_attentions_0_proj_in", pixel = kind == .sd1 ? [1, 1] : []
            #expect(try file.tensor("\(stem).lora_down.weight").shape == [3, 16] + pixel)
            #expect(try file.tensor("\(stem).lora_up.weight").shape == [16, 3] + pixel)
            #expect(try file.tensor("lora_unet_conv_in.lora_down.weight").shape == [3, 4, 3, 3])
            let again = try #require(read(url, for: tiny.parts).unet)
            #expect(again.entries.allSatisfy { abs($0.adapter.scale - config.scale) < 1e-7 })
        }
    }

    @Test("several adapters add up, each network with a strength of its own")
    func strengths() throws {
        let tiny = try TinyDiffusion(.sd1)
        let plain = try computed(tiny)
        let one = try read(Self.golden("kohya"), for: tiny.parts)
        let other = try read(Self.golden("kohya"), for: tiny.parts)
        one.setStrength(unet: 0.25, textEncoder: 0.5)
        other.setStrength(unet: 0.75, textEncoder: 0.5)
        one.attach()
        other.attach()
        try expectGolden(tiny, "kohya", within: 1e-4)
        other.setStrength(unet: -0.25, textEncoder: -0.5)
        let cancelled = try computed(tiny)
        #expect(try Distance.largest(cancelled.y.array(), plain.y.array()) < 1e-4)
    }

    @Test("names of latent diffusion's own code mean the same layers")
    func originalNames() throws {
        let tiny = try TinyDiffusion(.sd1)
        let paths = tiny.parts.unet.modules(of: (any AdaptedLayer).self).map(\.path)
        let original = LatentDiffusionPaths(paths)
        let renamed = try Dictionary(
            uniqueKeysWithValues: paths.map { path in
                let name = try #require(original(path), "\(path)")
                return (stem(path), stem(name))
            })
        try expectReads("kohya", tiny.parts) { name in
            let parts = name.split(separator: ".", maxSplits: 1).map(String.init)
            return (renamed[parts[0]] ?? parts[0].replacing("lora_te_", with: "lora_te1_")) + "." + parts[1]
        }
        try expectReads("new", tiny.parts) { $0.replacing("text_encoder.text_model.", with: "text_encoder.") }
    }

    private func stem(_ path: String) -> String { "lora_unet_" + path.replacing(".", with: "_") }

    /// Expects that the golden with other names is read as before.
    private func expectReads(_ name: String, _ parts: StableDiffusion, _ rename: (String) -> String) throws {
        let adapters = try copy(Self.golden(name), rename: rename) { try read($0, for: parts) }
        try expectSame(adapters.unet, read(Self.golden(name), for: parts).unet, .f32)
        try expectSame(adapters.textEncoder, read(Self.golden(name), for: parts).textEncoder, .f32)
    }

    /// A copy of a file with some tensors under other names, or without them.
    private func copy<R>(
        _ url: URL, metadata: [String: String] = [:], rename: (String) -> String?, _ body: (URL) throws -> R
    ) throws -> R {
        try withTemporaryFolder { folder in
            let entries = try SafetensorsFile(url).tensors.values.compactMap { tensor in
                try rename(tensor.name).map {
                    SafetensorsWriter.Entry(name: $0, type: tensor.type, shape: tensor.shape, data: try tensor.data())
                }
            }
            let file = folder.appendingPathComponent("copy.safetensors")
            try SafetensorsWriter.write(entries, metadata: metadata, to: file)
            return try body(file)
        }
    }

    @Test("files of other kinds are refused with what they are")
    func kinds() throws {
        let parts = try TinyDiffusion(.sd1).parts
        func expect(_ message: String, _ suffix: String, metadata: [String: String] = [:]) {
            expectMessage(message) {
                let name = "lora_unet_conv_in"
                try copy(Self.golden("kohya"), metadata: metadata) {
                    $0 == "\(name).alpha" ? suffix : nil
                } _: {
                    _ = try read($0, for: parts)
                }
            }
        }
        expect("a LoHa of LyCORIS ('lora_unet_conv_in.hada_w1_a'); use a LoRA for", "lora_unet_conv_in.hada_w1_a")
        expect("a LoKr of LyCORIS", "lora_unet_conv_in.lokr_w1")
        expect("a DoRA", "lora_unet_conv_in.dora_scale")
        expect("a DoRA", "unet.conv_in.lora_magnitude_vector")
        expect("a LoRA for SDXL", "lora_te2_text_model_encoder_layers_0_mlp_fc1.alpha")
        expect("a LoRA for SDXL, as its metadata says", "x", metadata: ["ss_base_model_version": "sdxl_base_v1-0"])
        expect("a LoRA for FLUX", "transformer.single_transformer_blocks.0.attn.to_q.lora_A.weight")
        expect("a language model's adapter", "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight")
        expect("a whole model", "model.diffusion_model.input_blocks.0.0.weight")
        expect("no LoRA in it", "weight")
        expectMessage("PEFT's folder of a language model's adapter; name a .safetensors file") {
            _ = try read(goldens.appendingPathComponent("peft-qwen2-qv"), for: parts)
        }
        expectMessage("a folder without an adapter; name a .safetensors file") {
            _ = try read(goldens, for: parts)
        }
        expectMessage("a DoRA, which is not read here") {
            let metadata = ["lora_adapter_metadata": #"{"unet.use_dora": true}"#]
            try copy(Self.golden("peft"), metadata: metadata) {
                $0
            } _: {
                _ = try read($0, for: parts)
            }
        }
    }

    @Test("tensors that are missing, misshapen, without a layer or no numbers are named")
    func damage() throws {
        let parts = try TinyDiffusion(.sd1).parts
        func read(_ rename: (String) -> String?) throws {
            try copy(Self.golden("kohya"), rename: rename) { _ = try self.read($0, for: parts) }
        }
        let name = "lora_unet_conv_in"
        expectMessage("'\(name).lora_up.weight' is missing, its other half is there") {
            try read { $0 == "\(name).lora_up.weight" ? nil : $0 }
        }
        expectMessage("'\(name).lora_down.weight' is [8, ") {
            let renamed = ["down", "up"].map { "\(name).lora_\($0).weight" }
            try read { $0 == renamed[0] ? renamed[1] : $0 == renamed[1] ? renamed[0] : $0 }
        }
        expectMessage("'lora_unet_a.alpha', 'lora_unet_b.alpha': this model has no such layers") {
            let renamed = ["conv_in": "a", "conv_out": "b"].map { ("lora_unet_\($0).alpha", "lora_unet_\($1).alpha") }
            let names = Dictionary(uniqueKeysWithValues: renamed)
            try read { names[$0] ?? $0 }
        }
        expectMessage("and \(813 - 36 - 5) more: this model has no such layers; is the adapter for another base model?")
        {
            try read { $0.hasPrefix("lora_te") ? $0 : "other." + $0 }
        }
        expectMessage("expected [rank, 128] and [128, rank]; is the adapter") {
            let pocket = try TinyDiffusion(.pocket).parts
            try copy(Self.golden("kohya")) {
                $0.hasPrefix("lora_te") ? $0 : nil
            } _: {
                _ = try self.read($0, for: pocket)
            }
        }
        expectMessage("has the pattern 'to_(q|k)'; only names and paths of layers are read here") {
            let metadata = ["lora_adapter_metadata": #"{"unet.alpha_pattern": {"to_(q|k)": 2}}"#]
            try copy(Self.golden("peft"), metadata: metadata) {
                $0
            } _: {
                _ = try self.read($0, for: parts)
            }
        }
    }

    @Test("numbers that a type cannot hold are refused with the layer, and nothing is left behind")
    func overflow() throws {
        let tiny = try TinyDiffusion(.sd1)
        let set = try LoRASet.inject(
            LoRAConfig(rank: 1, alpha: 1, targets: ["conv_in"]), into: tiny.parts.unet,
            seed: 1, on: .cpu)
        try withoutGradients {
            try set.entries[0].adapter.b.copy(from: Tensor([Float](repeating: 1e5, count: 8), [8, 1]))
        }
        try withTemporaryFolder { folder in
            expectMessage("the adapter of 'conv_in' has numbers that F16 cannot hold; has the training diverged?") {
                try PictureAdapters(unet: set).write(.kohya, to: folder.appendingPathComponent("x.safetensors"))
            }
            expectMessage("adapters are written as F16, BF16 or F32, not Q8_0") {
                try PictureAdapters(unet: set).write(.kohya, as: .q8_0, to: folder.appendingPathComponent("x"))
            }
            expectMessage("no adapters to write") {
                try PictureAdapters(unet: nil).write(.kohya, to: folder.appendingPathComponent("x"))
            }
            let left = try FileManager.default.contentsOfDirectory(atPath: folder.path)
            #expect(left.isEmpty)
        }
    }

    @Test("files with damaged headers are read or refused in one line, whatever is wrong")
    func damagedHeaders() throws {
        let parts = try TinyDiffusion(.sd1).parts
        let whole = try Data(contentsOf: Self.golden("peft"))
        let header = whole.prefix(8).enumerated().reduce(0) { $0 + Int($1.element) << (8 * $1.offset) }
        var stream = RandomStream(seed: 5, purpose: "damage")
        try withTemporaryFolder { folder in
            let url = folder.appendingPathComponent("x.safetensors")
            for _ in 0..<150 {
                var bytes = whole
                for _ in 0..<3 {
                    let place = 8 + Int(stream.next() % UInt64(header))
                    bytes[place] =
                        [UInt8(ascii: "\\"), UInt8(ascii: "1"), 0x0A, UInt8(stream.next() % 128)][
                            Int(stream.next() % 4)]
                }
                try bytes.write(to: url)
                do {
                    _ = try read(url, for: parts)
                } catch {
                    let isOneLine = !"\(error)".contains { $0.isNewline }
                    #expect(isOneLine)
                }
            }
        }
    }

    @Test("names out of a file stay on one line")
    func names() throws {
        let parts = try TinyDiffusion(.sd1).parts
        expectMessage("'a\\u{a}b': this model has no such layers") {
            try copy(Self.golden("kohya")) {
                $0 == "lora_unet_conv_in.alpha" ? "a\nb" : $0
            } _: {
                _ = try read($0, for: parts)
            }
        }
    }
}
