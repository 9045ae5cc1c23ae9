// What a picture adapter's file says about its training equals what sd-scripts would write.

import Foundation
import TestSupport
import Testing

@testable import Formats
@testable import LoRA

@Suite("Metadata of picture adapters")
struct KohyaMetadataTests {
    private struct Golden: Decodable { let metadata, hashes: [String: String] }

    private let golden: Golden

    init() throws {
        let data = try Data(contentsOf: goldens.appendingPathComponent("kohya_metadata.json"))
        golden = try JSONDecoder().decode(Golden.self, from: data)
    }

    /// The run of scripts/goldens/kohya_metadata.py.
    private var metadata: KohyaMetadata {
        var metadata = KohyaMetadata(outputName: "ink")
        (metadata.session, metadata.comment, metadata.steps, metadata.epoch) = (.max, "first try", 26, 2)
        (metadata.startedAt, metadata.finishedAt) = (1_700_000_000.25, 1_700_000_123.5)
        metadata.timeZone = .gmt
        metadata.base.name = "base.safetensors"
        (metadata.base.shortHash, metadata.base.hash) = ("cc6cb27103", String(repeating: "ab", count: 32))
        (metadata.base.isSecondVersion, metadata.base.predictsVelocity) = (true, true)
        (metadata.network.rank, metadata.network.alpha) = (8, 16)
        metadata.network.arguments = [("conv_dim", "4"), ("conv_alpha", "1")]
        metadata.pictures = pictures
        metadata.training = training
        (metadata.about.author, metadata.about.triggerPhrase) = ("A. Painter", "inkwash")
        metadata.about.program = "lora/0.1.0"
        return metadata
    }

    private var pictures: KohyaMetadata.Pictures {
        var pictures = KohyaMetadata.Pictures()
        (pictures.width, pictures.height, pictures.batchSize) = (768, 512, 2)
        pictures.folders = [
            .init(name: "10_ink", repeats: 10, captions: ["ink, A cat,  ink , tree", "Ink,, \"mist\"\\über 山"]),
            .init(name: "3_更多", repeats: 3, captions: ["", "cat"]),
        ]
        pictures.regularisation = [.init(name: "1_reg", captions: ["a cat"])]
        pictures.buckets = [.init(width: 768, height: 512, count: 20), .init(width: 512, height: 768, count: 6)]
        pictures.aspectError = 0.012345678901234567
        (pictures.isNeverEnlarged, pictures.flips, pictures.shufflesCaptions) = (true, true, true)
        (pictures.keptTokens, pictures.captionDropout) = (1, 0.1)
        return pictures
    }

    private var training: KohyaMetadata.Training {
        var training = KohyaMetadata.Training()
        (training.seed, training.mixedPrecision, training.textEncoderLearningRate) = (7, "bf16", 5e-5)
        training.optimizer = "torch.optim.adamw.AdamW(weight_decay=0.01,betas=(0.9, 0.999))"
        (training.schedule, training.warmupSteps, training.clipSkip) = ("cosine", 3, 2)
        (training.minSNRGamma, training.noiseOffset, training.hasZeroTerminalSNR) = (5, 0.05, true)
        (training.priorLossWeight, training.accumulation, training.checkpointsActivations) = (0.5, 2, true)
        (training.epochs, training.totalSteps, training.batchesPerEpoch) = (4, 26, 13)
        return training
    }

    @Test("every key and value is what Python's str and json.dumps give")
    func values() {
        let values = metadata.values
        #expect(Set(values.keys) == Set(golden.metadata.keys))
        for (key, expected) in golden.metadata { #expect(values[key] == expected, "\(key)") }
    }

    @Test("a run that says nothing has sd-scripts' defaults, and no keys for what is unknown")
    func defaults() {
        let values = KohyaMetadata(outputName: "x").values
        #expect(values["ss_base_model_version"] == "sd_v1" && values["ss_v2"] == "False")
        #expect(values["modelspec.architecture"] == "stable-diffusion-v1/lora")
        #expect(values["ss_bucket_info"] == "null" && values["ss_enable_bucket"] == "False")
        #expect(values["ss_seed"] == "None" && values["ss_network_alpha"] == "1.0")
        #expect(values["ss_network_args"] == nil && values["ss_sd_model_hash"] == nil)
        #expect(values["modelspec.author"] == nil && values["modelspec.encoder_layer"] == nil)
    }

    @Test("an adapter's hashes leave out what is not of the training")
    func hashes() throws {
        let floats = (0..<300_000).map { Float($0 * 7919 % 2003) }
        let entries = [
            SafetensorsWriter.Entry(name: "lora_unet_conv_in.lora_down.weight", shape: [300, 1000], floats: floats),
            SafetensorsWriter.Entry(name: "lora_unet_conv_in.alpha", shape: [], floats: [4]),
        ]
        let url = URL(fileURLWithPath: "x.safetensors")
        #expect(try KohyaHash.ofAdapter(entries, golden.metadata, for: url) == golden.hashes)
    }

    @Test("a base model's short hash is of 64 KiB after the first MiB")
    func shortHash() throws {
        try withTemporaryFolder { folder in
            let url = folder.appendingPathComponent("x")
            try Data((0..<1_200_000).map { UInt8($0 * 7 % 251) }).write(to: url)
            #expect(try KohyaHash.short(of: url) == "b45bed65")
            try Data("short".utf8).write(to: url)
            #expect(try KohyaHash.short(of: url) == "e3b0c442")
            #expect(try KohyaHash.short(of: folder) == "IsADirectory")
        }
    }

    @Test("the card beside the file has AUTOMATIC1111's names")
    func card() throws {
        var card = WebUICard()
        (card.description, card.activationText, card.preferredWeight) = ("Ink wash", "inkwash", 0.8)
        try withTemporaryFolder { folder in
            let url = folder.appendingPathComponent("ink.json")
            try card.write(to: url)
            let expected = """
                {
                  "activation text" : "inkwash",
                  "description" : "Ink wash",
                  "negative text" : "",
                  "notes" : "",
                  "preferred weight" : 0.8,
                  "sd version" : "SD1"
                }

                """
            #expect(try String(contentsOf: url, encoding: .utf8) == expected)
        }
    }
}
