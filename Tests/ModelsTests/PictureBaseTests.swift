// Single files of Stable Diffusion compute what diffusers computes with them, and what belongs to a base is found.

import Formats
import Foundation
import NN
import TestSupport
import Testing
import Tokenizers
import Torch

@testable import Models

/// Tiny models in the original layout; see scripts/goldens/ldm.py.
enum TinySingleFile: String, CaseIterable, Sendable {
    /// A `.ckpt`, with CLIP's text encoder.
    case sd1
    /// A `.safetensors`, with OpenCLIP's text encoder.
    case sd2

    var folder: URL { goldens.appendingPathComponent("ldm-\(self)") }
    var file: URL { folder.appendingPathComponent(self == .sd1 ? "model.ckpt" : "model.safetensors") }

    func tensors() throws -> [String: StoredTensor] { try PictureFile(file).tensors }

    func expected() throws -> SafetensorsFile {
        try SafetensorsFile(folder.appendingPathComponent("expected.safetensors"))
    }
}

/// Writes a safetensors file with the tensors of another, some of them changed, and opens it as a base.
func withFile<R>(
    _ tensors: [String: StoredTensor], metadata: [String: String] = [:], name: String = "model.safetensors",
    _ body: (URL) throws -> R
) throws -> R {
    try withTemporaryFolder { folder in
        let url = folder.appendingPathComponent(name)
        let entries = try tensors.map { key, tensor in
            SafetensorsWriter.Entry(name: key, type: tensor.type, shape: tensor.shape, data: try tensor.data())
        }
        try SafetensorsWriter.write(entries, metadata: metadata, to: url)
        return try body(url)
    }
}

@Suite("Picture bases")
struct PictureBaseTests {
    private let placement = Placement(.cpu, .float32)

    @Test("a single file gives diffusers' states, prediction and pictures", arguments: TinySingleFile.allCases)
    func parity(kind: TinySingleFile) throws {
        let parts = try StableDiffusion.load(kind.file, on: placement)
        let expected = try kind.expected()
        func tensor(_ name: String) throws -> Tensor {
            let stored = try expected.tensor(name)
            return try Tensor(stored.floats(), stored.shape)
        }
        try withoutGradients {
            let tokens = try expected.tensor("tokens").floats().map { Int($0) }
            try expectNear(parts.textEncoder([tokens]), expected.tensor("text"))
            try expectNear(
                parts.unet(tensor("x"), timesteps: [601], context: tensor("text")), expected.tensor("y"))
            try expectNear(parts.autoencoder.encode(tensor("pictures")).mean, expected.tensor("mean"))
            try expectNear(parts.autoencoder.decode(tensor("latents")), expected.tensor("decoded"))
        }
    }

    @Test("what a single file says of itself: kind, configurations, bytes, files")
    func facts() throws {
        let (first, second) = (try PictureBase(TinySingleFile.sd1.file), try PictureBase(TinySingleFile.sd2.file))
        #expect(first.kind == .stableDiffusion1 && second.kind == .stableDiffusion2)
        #expect("\(first.kind)" == "Stable Diffusion 1.x")
        #expect(first.unet.config.heads == [8, 8] && second.unet.config.heads == [1, 1])
        #expect(first.textEncoder.config.activation == "quick_gelu" && second.textEncoder.config.activation == "gelu")
        #expect([first, second].map(\.textEncoder.config.layers) == [2, 2])
        #expect(second.unet.config.attends == [true, false] && second.unet.config.transformerLayers == [1, 1])
        #expect(first.autoencoder.config.scalingFactor == 0.18215 && first.autoencoder.config.pixelsPerLatent == 2)
        #expect(first.files == [TinySingleFile.sd1.file])
        #expect(first.unet.elementTypes == [.f16: first.unet.byteCount])
        #expect(first.byteCount > 70_000 && first.byteCount < 80_000)
    }

    @Test("every name of Stable Diffusion 1.5 means what it means to diffusers")
    func names() throws {
        let url = goldens.appendingPathComponent("ldm-names.json")
        let names = try JSONDecoder().decode([String: String].self, from: Data(contentsOf: url))
        let unet = names.filter { $0.key.hasPrefix("model.diffusion_model.") }
        let inner = { (name: String) in String(name.dropFirst("model.diffusion_model.".count)) }
        #expect(LDMNames.layersPerBlock(unet.keys.map { inner($0) + ".weight" }) == 2 && unet.count == 391)
        let wrong = names.filter { name, expected in
            let autoencoder = String(name.dropFirst("first_stage_model.".count))
            let found =
                unet[name] != nil
                ? LDMNames.unet(inner(name) + ".bias", layersPerBlock: 2)
                : LDMNames.autoencoder(autoencoder + ".bias", levels: 4)
            return found != "\(expected).bias"
        }
        #expect(wrong.isEmpty)
    }

    @Test("names that no model has stay as they are, and none ends the program")
    func strangeNames() {
        for name in [
            "input_blocks.99999999999999999999.0.op.x", "input_blocks.-1.0.op.x", "out", "", ".", "label_emb.0",
        ] {
            #expect(LDMNames.unet(name, layersPerBlock: 2) == name)
        }
        #expect(LDMNames.autoencoder("decoder.up.-5.block.0.x", levels: 4) == "decoder.up.-5.block.0.x")
        #expect(LDMNames.openCLIP("transformer.resblocks.9223372036854775807.ln_1.bias", layers: 2).count == 1)
        #expect(LDMNames.openCLIP("transformer.resblocks.2.ln_1.bias", layers: 2).isEmpty)
    }

    @Test("text keys without `text_model.`, and all keys below `state_dict.`, mean the same")
    func otherKeys() throws {
        let original = try PictureBase(TinySingleFile.sd1.file)
        let renamed = Dictionary(
            uniqueKeysWithValues: try TinySingleFile.sd1.tensors().map { name, tensor in
                ("state_dict." + name.replacing("transformer.text_model.", with: "transformer."), tensor)
            })
        try withFile(renamed) { url in
            let base = try PictureBase(url)
            #expect(base.textEncoder.config == original.textEncoder.config)
            for (key, tensor) in original.textEncoder.tensors {
                #expect(try base.textEncoder.tensors[key]?.data() == tensor.data(), "\(key)")
            }
        }
    }

    @Test("a diffusers folder tells its parts, its files and its noise")
    func folder() throws {
        let base = try PictureBase(TinyDiffusion.model(.pocket))
        #expect(base.kind == .stableDiffusion1 && base.noise.stepsOffset == 1)
        let names = base.files.map { "\($0.deletingLastPathComponent().lastPathComponent)/\($0.lastPathComponent)" }
        #expect(
            names == [
                "unet/config.json", "unet/diffusion_pytorch_model.safetensors", "vae/config.json",
                "vae/diffusion_pytorch_model.safetensors", "text_encoder/config.json",
                "text_encoder/model.safetensors", "scheduler/scheduler_config.json", "tokenizer/tokenizer.json",
                "tokenizer/tokenizer_config.json", "tokenizer/vocab.json", "tokenizer/merges.txt",
            ])
        #expect(try base.tokenizer().encode("a cat").tokenCount > 0)
        #expect(try PictureBase(TinyDiffusion.model(.sd2)).kind == .stableDiffusion2)
    }

    @Test("pickled weights of a diffusers folder are read where it has no safetensors")
    func pickledFolder() throws {
        try withTemporaryFolder { folder in
            let copy = folder.appendingPathComponent("model")
            try FileManager.default.copyItem(at: TinyDiffusion.model(.sd2), to: copy)
            let part = copy.appendingPathComponent("text_encoder")
            let whole = try PictureBase(copy).textEncoder
            try FileManager.default.removeItem(at: part.appendingPathComponent("model.fp16.safetensors"))
            try FileManager.default.copyItem(
                at: TinySingleFile.sd2.folder.appendingPathComponent("pytorch_model.fp16.bin"),
                to: part.appendingPathComponent("pytorch_model.fp16.bin"))
            let pickled = try PictureBase(copy).textEncoder
            #expect(pickled.files.last?.lastPathComponent == "pytorch_model.fp16.bin")
            #expect(pickled.tensors.keys == whole.tensors.keys)
            for (key, tensor) in whole.tensors {
                #expect(try pickled.tensors[key]?.data() == tensor.data(), "\(key)")
            }
            _ = try CLIPTextModel.load(pickled, on: placement)
        }
    }

    // MARK: - Prediction

    @Test("the prediction is told by a setting, metadata, a tensor, a configuration beside the file, or the kind")
    func prediction() throws {
        func told(_ kind: TinySingleFile, _ setting: Prediction? = nil) throws -> (Prediction, size: Int) {
            let base = try PictureBase(kind.file, prediction: setting)
            return (base.noise.prediction, base.unet.config.sampleSize)
        }
        #expect(try told(.sd1) == (.epsilon, 64) && told(.sd1, .velocity) == (.velocity, 64))
        #expect(try told(.sd2) == (.velocity, 96) && told(.sd2, .epsilon) == (.epsilon, 64))
        let second = try TinySingleFile.sd2.tensors()
        try withFile(second, metadata: ["modelspec.prediction_type": "epsilon"]) {
            let noise = try PictureBase($0).noise
            #expect(noise.prediction == .epsilon)
        }
        var first = try TinySingleFile.sd1.tensors()
        first["v_pred"] = second["betas"]
        first["ztsnr"] = second["betas"]
        try withFile(first) {
            let noise = try PictureBase($0).noise
            #expect(noise.prediction == .velocity && noise.rescalesToZeroSNR)
        }
        try withFile(second, name: "two.safetensors") { url in
            let yaml = url.deletingLastPathComponent().appendingPathComponent("two.yaml")
            try Data("model:\n  params:\n    parameterization: \"eps\"\n".utf8).write(to: yaml)
            let base = try PictureBase(url)
            #expect(base.noise.prediction == .epsilon && base.files.contains { $0.lastPathComponent == "two.yaml" })
        }
        var file = try PictureFile(TinySingleFile.sd2.file)
        file.integers["global_step"] = 875_000
        #expect(file.noise(.stableDiffusion2).0.prediction == .epsilon)
    }

    // MARK: - Tokenizer

    @Test("a single file's tokenizer is looked for beside it, its own first")
    func tokenizers() throws {
        try withFile(TinySingleFile.sd2.tensors(), name: "two.safetensors") { url in
            let parent = url.deletingLastPathComponent()
            func copy(_ name: String, to target: String) throws {
                try FileManager.default.copyItem(
                    at: goldens.appendingPathComponent(name), to: parent.appendingPathComponent(target))
            }
            func tokens() throws -> (ids: [Int], files: [String]) {
                let base = try PictureBase(url)
                return (
                    try base.tokenizer().encode("a photo of a cat").ids,
                    base.files.dropFirst().map(\.lastPathComponent)
                )
            }
            expectMessage(
                "two.safetensors: a single file holds no tokenizer; put CLIP's vocab.json and merges.txt into a folder "
                    + "'tokenizer' beside it, or its tokenizer.json there as 'two.tokenizer.json'"
            ) { _ = try tokens() }
            for name in ["vocab.json", "merges.txt"] { try copy("clip-bare/\(name)", to: name) }
            let loose = try tokens()
            #expect(loose.files == ["vocab.json", "merges.txt"] && loose.ids.last == 0)  // `!`, as the kind has it
            try copy("clip-sd1", to: "tokenizer")
            let folder = try tokens()
            #expect(
                folder.ids
                    == (try CLIPTokenizer(folder: goldens.appendingPathComponent("clip-sd1")))
                    .encode("a photo of a cat").ids)
            try copy("clip-fast/tokenizer.json", to: "two.tokenizer.json")
            #expect(try tokens().files == ["two.tokenizer.json"])
            try PictureBase(url).tokenizer().writeFiles(to: parent.appendingPathComponent("written"))
            let written = try CLIPTokenizer(folder: parent.appendingPathComponent("written"), padding: "!")
            #expect(try tokens().ids == written.encode("a photo of a cat").ids)
        }
    }
}
