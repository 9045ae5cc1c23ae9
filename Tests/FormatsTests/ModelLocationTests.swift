// What a path holds is told by its content, and what is no model is called by its name.

import Foundation
import TestSupport
import Testing

@testable import Formats

@Suite("Kinds of model files")
struct ModelLocationTests {
    @Test("the kinds that are read are told by their content, whatever their name")
    func known() throws {
        try withTemporaryFolder { folder in
            let url = folder.appendingPathComponent("model.bin")
            try FileManager.default.copyItem(at: goldens.appendingPathComponent("gguf-mixed.gguf"), to: url)
            #expect(try ModelLocation.identify(url) == .gguf(url))
            let single = goldens.appendingPathComponent("safetensors-mixed.safetensors")
            #expect(try ModelLocation.identify(single) == .safetensors(single))
        }
    }

    @Test("a folder is a Hugging Face model, or stands for its only GGUF file")
    func folders() throws {
        try withTemporaryFolder { folder in
            let gguf = folder.appendingPathComponent("model.gguf")
            try FileManager.default.copyItem(at: goldens.appendingPathComponent("gguf-mixed.gguf"), to: gguf)
            guard case .gguf(let found) = try ModelLocation.identify(folder) else {
                Issue.record("not told as GGUF")
                return
            }
            #expect(found.lastPathComponent == "model.gguf")
            try Data("{}".utf8).write(to: folder.appendingPathComponent("config.json"))
            try Data().write(to: folder.appendingPathComponent("model.safetensors"))
            #expect(try ModelLocation.identify(folder) == .huggingFace(folder: folder))
        }
    }

    @Test(
        "a folder that holds no model says what it holds",
        arguments: [
            ([], "an empty folder; name a Hugging Face folder"),
            (["a.gguf", "b.GGUF"], "a folder with 2 GGUF files: a.gguf, b.GGUF; name one of them"),
            (
                ["model.safetensors"],
                "a folder with weights, but without config.json; fetch the model's config.json, too"
            ),
            (
                ["adapter_config.json", "adapter_model.safetensors"],
                "a folder with a LoRA adapter, not a base model; name"
            ),
            (["model_index.json"], "a folder of an image model (diffusers); name a text model"),
            (
                ["config.json", "pytorch_model.bin"],
                "pickled weights (pytorch_model.bin), which are not read because they"
            ),
            (["config.json"], "a folder with config.json, but without model.safetensors; fetch the weights, too"),
            (["notes.txt"], "a folder without a model; name a Hugging Face folder (config.json, model.safetensors, …)"),
        ] as [([String], String)])
    func otherFolders(names: [String], message: String) throws {
        try withTemporaryFolder { folder in
            for name in names { try Data().write(to: folder.appendingPathComponent(name)) }
            expectMessage([message]) { try ModelLocation.identify(folder) }
        }
    }

    @Test(
        "a file that is no model is called by its name",
        arguments: [
            (Data(), "the file is empty; fetch the file again"),
            (
                Data("\n<!DOCTYPE html><html>".utf8),
                "a web page (HTML) saved in place of a model; fetch the file again: its address"
            ),
            (Data("<?xml version=\"1.0\"?><Error>".utf8), "an XML answer saved in place of a model"),
            (
                Data("version https://git-lfs.github.com/spec/v1\noid".utf8),
                "a Git LFS pointer, not the file it stands for"
            ),
            (Data("tjgg\u{3}\0\0\0".utf8), "a legacy llama.cpp file (GGJT version 3); use a GGUF file of this model"),
            (Data("lmgg\u{3}\0\0\0".utf8), "a legacy llama.cpp file (GGML)"),
            (Data("fmgg\u{1}\0\0\0".utf8), "a legacy llama.cpp file (GGMF version 1)"),
            (Data([0x80, 2]) + Data("ctorch".utf8), "a Python pickle (.ckpt, .pt, .bin); such files can run programs"),
            (Data("PK\u{3}\u{4}archive/data.pkl".utf8), "a PyTorch checkpoint (a zipped pickle: .ckpt, .pt, .bin)"),
            (Data("PK\u{3}\u{4}model.gguf".utf8), "a ZIP archive; unpack it and name what is in it"),
            (Data([0x1F, 0x8B, 8]), "a gzip archive"),
            (Data(count: 600), "the file begins with zeros: a download that did not finish?; fetch the file again"),
            (Data("{\"error\": \"not found\"}".utf8), "a text file, not a model; name a .gguf or .safetensors file"),
            (Data([1, 2, 3, 0xFF, 0]), "not a model file of a known kind; name a .gguf or .safetensors file"),
        ] as [(Data, String)])
    func otherFiles(content: Data, message: String) throws {
        try withTemporaryFolder { folder in
            let url = folder.appendingPathComponent("model.bin")
            try content.write(to: url)
            expectMessage(["model.bin: \(message)"]) { try ModelLocation.identify(url) }
        }
    }

    @Test("a safetensors file that is cut off says so, one that is a web page says that")
    func named() throws {
        try withTemporaryFolder { folder in
            let url = folder.appendingPathComponent("model.safetensors")
            try Data([255, 0, 0, 0, 0, 0, 0, 0, 0x7B]).write(to: url)
            expectMessage(["the header says 255 bytes, the file has 9; "]) { try ModelLocation.identify(url) }
            try Data("<html>".utf8).write(to: url)
            expectMessage(["a web page (HTML)"]) { try ModelLocation.identify(url) }
            expectMessage(["cannot open: there is no such file or folder"]) {
                try ModelLocation.identify(folder.appendingPathComponent("absent"))
            }
        }
    }
}
