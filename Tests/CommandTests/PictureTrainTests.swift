// `lora train` and `lora sample` from end to end on pictures, and what they say of bad input.

import Formats
import Foundation
import TestSupport
import Testing

private let pocket = goldens.deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("assets/pocket-emoji")

/// A folder with four pictures and a configuration `run.yaml`, to which `lines` are added.
private func withPictureRun<R>(_ lines: String = "", _ body: (URL) throws -> R) throws -> R {
    try withTemporaryFolder { folder in
        let data = folder.appendingPathComponent("data")
        try FileManager.default.createDirectory(at: data, withIntermediateDirectories: true)
        for name in ["swan.jpg", "bear.jpg", "peach.jpg", "teapot.jpg"] {
            let source = pocket.deletingLastPathComponent().deletingLastPathComponent()
                .appendingPathComponent("examples/inkwash/\(name)")
            try FileManager.default.copyItem(at: source, to: data.appendingPathComponent(name))
            let caption = "emoji of \(name.dropLast(4)), ink wash"
            try write(caption, to: "data/\(name.dropLast(4)).txt", in: folder)
        }
        let configuration = """
            base_model: \(pocket.path)
            train_data_dir: data
            output_dir: runs/ink
            batch_size: 2
            max_steps: 4
            device: cpu
            cache_dir: cache
            \(lines)

            """
        try write(configuration, to: "run.yaml", in: folder)
        return try body(folder)
    }
}

private func text(_ name: String, in folder: URL) throws -> String {
    try String(contentsOf: folder.appendingPathComponent(name), encoding: .utf8)
}

@Suite("lora train on pictures", .enabled(if: canReadPictures, "libvips is not here"))
struct PictureTrainTests {
    @Test("leaves an adapter for every program, a grid and a report")
    func wholeRun() throws {
        let samples = "samples: {prompts: [emoji of owl], strengths: [0, 1], sampling_steps: 2, guidance_scale: 2}"
        try withPictureRun("output_name: \"{project}_r{lora_rank}\"\nvalidation_split: 0.25\n\(samples)") { folder in
            let result = try lora("train", "run.yaml", in: folder)
            #expect(result.status == 0, "\(result.errors)")
            let run = folder.appendingPathComponent("runs/ink")
            for name in [
                "config.yaml", "README.md", "ink_r8.safetensors", "ink_r8.json", "ink_r8.png",
                "samples/step-000004.png", "samples/step-000004/1_strength_1.0.png",
                "checkpoints/pytorch_lora_weights.safetensors",
            ] {
                #expect(FileManager.default.fileExists(atPath: run.appendingPathComponent(name).path), "\(name)")
            }
            let adapter = try SafetensorsFile(run.appendingPathComponent("ink_r8.safetensors"))
            #expect(adapter.metadata["ss_output_name"] == "ink_r8" && adapter.metadata["ss_steps"] == "4")
            #expect(adapter.tensors.keys.allSatisfy { $0.hasPrefix("lora_unet_") })
            let copy = run.appendingPathComponent("checkpoints/pytorch_lora_weights.safetensors")
            #expect(try sha256(of: copy) == sha256(of: run.appendingPathComponent("ink_r8.safetensors")))
            let report = try text("README.md", in: run)
            for words in ["> **Done.**", "](samples/step-000004.png)", "<lora:ink_r8:0.8>", "64 × 64: 3"] {
                #expect(report.contains(words), "\(words)")
            }
            let events = try text("events.jsonl", in: run)
            #expect(events.contains("\"type\":\"validation\"") && events.contains("\"images_per_second\""))
            let again = try lora("train", "run.yaml", in: folder)
            #expect(again.status == 0 && again.errors.contains("this run is done"))
        }
    }

    @Test("trains the text encoder, captions and flips that change, and goes on exactly where it was killed")
    func resume() throws {
        let lines = """
            save_steps: 2
            save_total_limit: 0
            lora_dropout: 0.1
            text_encoder_target_modules: [q_proj, v_proj]
            shuffle_captions: true
            caption_dropout: 0.2
            random_flip: true
            min_snr_gamma: 5
            noise_offset: 0.05
            gradient_checkpointing: true
            """
        try withPictureRun(lines) { folder in
            let configuration = try text("run.yaml", in: folder).replacing("max_steps: 4", with: "max_steps: 30")
            try write(configuration, to: "run.yaml", in: folder)
            let whole = try lora("train", "run.yaml", "--set", "output_dir=runs/whole", in: folder)
            #expect(whole.status == 0, "\(whole.errors)")
            try killWhenSaved(2, in: folder, run: "runs/ink")
            let result = try lora("train", "run.yaml", in: folder)
            #expect(result.status == 0 && result.errors.contains("going on after step"), "\(result.errors)")
            let files = try ["whole", "ink"].map { name in
                try SafetensorsFile(folder.appendingPathComponent("runs/\(name)/\(name).safetensors"))
            }
            #expect(files[0].tensors.keys.contains { $0.hasPrefix("lora_te_text_model_encoder_layers_0_self_attn_q") })
            for (name, tensor) in files[0].tensors {
                #expect(try tensor.floats() == files[1].tensor(name).floats(), "\(name)")
            }
        }
    }

    @Test("masks for some pictures, regularisation pictures, an adapted time embedding; names count as contents do")
    func mixed() throws {
        let lines = """
            alpha_mask: true
            regularization_data: class
            unet_target_modules: [all-linear]
            gradient_checkpointing: true
            learning_rate: 1e-2
            """
        try withPictureRun(lines) { folder in
            let place = folder.appendingPathComponent("class")
            try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
            let mask = Picture(width: 256, height: 256, pixels: [UInt8](repeating: 255, count: 3 * 256 * 256))
            try mask.png().write(to: folder.appendingPathComponent("data/swan.mask.png"))
            try FileManager.default.copyItem(
                at: folder.appendingPathComponent("data/bear.jpg"), to: place.appendingPathComponent("bear.jpg"))
            try write("a bear", to: "class/bear.txt", in: folder)
            let first = try lora("train", "run.yaml", in: folder)
            #expect(first.status == 0, "\(first.errors)")
            #expect(first.errors.contains("linear_1 ×1"))

            // The same files under other names are other data.
            try FileManager.default.moveItem(
                at: folder.appendingPathComponent("data/swan.txt"), to: folder.appendingPathComponent("data/x.txt"))
            try FileManager.default.moveItem(
                at: folder.appendingPathComponent("data/bear.txt"), to: folder.appendingPathComponent("data/swan.txt"))
            try FileManager.default.moveItem(
                at: folder.appendingPathComponent("data/x.txt"), to: folder.appendingPathComponent("data/bear.txt"))
            let other = try lora("train", "run.yaml", in: folder)
            #expect(other.status != 0 && other.errors.contains("another run"), "\(other.errors)")
        }
    }

    @Test("an edited picture is encoded anew, and a damaged cache is mended")
    func cache() throws {
        try withPictureRun { folder in
            #expect(try lora("train", "run.yaml", in: folder).errors.contains("latents   0 of 4 encoded"))
            #expect(
                try !lora("train", "run.yaml", "--set", "output_dir=second", in: folder).errors.contains("latents "))
            let source = folder.appendingPathComponent("data/bear.jpg")
            try Picture(contentsOf: source).mirrored.png().write(to: folder.appendingPathComponent("data/peach.jpg"))
            let edited = try lora("train", "run.yaml", "--set", "output_dir=third", in: folder)
            #expect(edited.errors.contains("latents   0 of 1 encoded"), "\(edited.errors)")
            let kept = folder.appendingPathComponent("cache/latents")
            let names = try FileManager.default.subpathsOfDirectory(atPath: kept.path).filter {
                $0.hasSuffix("tensors")
            }
            #expect(names.count == 5)
            try Data("no tensors".utf8).write(to: kept.appendingPathComponent(names[0]))
            let mended = try lora("train", "run.yaml", "--set", "output_dir=fourth", in: folder)
            #expect(mended.status == 0, "\(mended.errors)")
        }
    }

    @Test("a sample follows prompt, adapter and seed, and nothing else")
    func sample() throws {
        try withPictureRun("learning_rate: 1e-2") { folder in
            #expect(try lora("train", "run.yaml", in: folder).status == 0)
            func picture(_ prompt: String, _ more: String...) throws -> Data {
                let arguments = [
                    "sample", "--base", pocket.path, "--prompt", prompt, "--steps", "2", "--guidance", "3", "-o",
                    "p.png",
                ]
                let result = try lora(arguments + more, in: folder)
                #expect(result.status == 0 && result.output == "p.png\n", "\(result.errors)")
                return try Data(contentsOf: folder.appendingPathComponent("p.png"))
            }
            let plain = try picture("emoji of owl"), adapted = try picture("emoji of owl <lora:ink:0.8>")
            #expect(plain == (try picture("emoji of owl <lora:ink:0>")))
            #expect(plain != adapted)
            #expect(adapted == (try picture("emoji of owl", "--adapter", "runs/ink:0.8")))
            #expect(plain != (try picture("emoji of owl", "--seed", "7")))
            #expect(plain != (try picture("emoji of owl", "--negative", "red")))
            let missing = try lora(
                "sample", "--base", pocket.path, "--prompt", "x <lora:imk:1>", "-o", "q.png", in: folder)
            #expect(missing.status != 0 && missing.errors.contains("no imk.safetensors"))
            #expect(missing.errorLines.count == 1)
        }
    }
}

@Suite("lora train refuses bad pictures", .enabled(if: canReadPictures, "libvips is not here"))
struct PictureRefusalTests {
    /// What `lora train` says after a change of the folder or the configuration; one line, and status 1 or 2.
    private func refusal(_ lines: String = "", _ change: (URL) throws -> Void = { _ in }) throws -> String {
        try withPictureRun(lines) { folder in
            try change(folder)
            let result = try lora("train", "run.yaml", in: folder)
            #expect([1, 2].contains(result.status), "\(result.errors)")
            #expect(result.errorLines.count == 1, "\(result.errors)")
            return result.errors
        }
    }

    @Test("broken pictures, captions without pictures, no captions, wrong columns")
    func data() throws {
        #expect(try refusal { try write("no picture", to: "data/broken.png", in: $0) }.contains("broken.png"))
        let bare = try refusal { folder in
            for name in ["swan", "bear", "peach", "teapot"] {
                try FileManager.default.removeItem(at: folder.appendingPathComponent("data/\(name).txt"))
            }
        }
        #expect(bare.contains("none of the 4 pictures has a caption"))
        let columns = try refusal { try write("id,size\nswan.jpg,3\n", to: "data/metadata.csv", in: $0) }
        #expect(columns.contains("metadata.csv"))
        let stray = try refusal { try write("file_name,text\nghost.jpg,a ghost\n", to: "data/metadata.csv", in: $0) }
        #expect(stray.contains("ghost.jpg"))
        // A pickle that would make a file: nothing of it is run, and its wish is named.
        let pickle = try refusal { folder in
            try write("cposix\nsystem\n(S'touch ran'\ntR.", to: "base.ckpt", in: folder)
            let configuration = try text("run.yaml", in: folder).replacing(pocket.path, with: "base.ckpt")
            try write(configuration, to: "run.yaml", in: folder)
        }
        #expect(pickle.contains("base.ckpt"), "\(pickle)")
    }

    @Test("a resolution that is no multiple of 8, a cache that cannot be written, a base that is none")
    func settings() throws {
        #expect(try refusal("resolution: 100").contains("multiple of 8"))
        let cache = try refusal { folder in
            try write("", to: "cache", in: folder)
        }
        #expect(cache.contains("cache") && cache.contains("cache_dir"))
        let base = goldens.appendingPathComponent("tiny-chat").path
        let language = try refusal { folder in
            let configuration = try text("run.yaml", in: folder).replacing(pocket.path, with: base)
            try write(configuration + "task_type: text-to-image\n", to: "run.yaml", in: folder)
        }
        #expect(language.contains("tiny-chat: a text model; name a Stable Diffusion"), "\(language)")
        let vae = try refusal("vae: data")
        #expect(vae.contains("data/config.json"), "\(vae)")
        #expect(try refusal("clip_skip: 9").contains("clip_skip 9, but the text encoder has 4 layers"))
        #expect(try refusal("unet_target_modules: [to_qq]").contains("unet_target_modules: 'to_qq' matches no layer"))
        #expect(try refusal("output_name: facts").contains("cannot be an adapter's name"))
        let steps = "samples: {prompts: [x], sampling_steps: 1000}"
        #expect(try refusal(steps).contains("1000 sampling steps, but"))
        #expect(try refusal("samples: {prompts: [x], strengths: []}").contains("'samples.strengths' is empty"))
        let pure = "zero_terminal_snr: true\nsamples: {prompts: [x], sampler: pndm}"
        #expect(try refusal(pure).contains("'pndm' cannot start from pure noise"))
    }
}
