// The keys that only runs over pictures know.

extension Settings {
    static let pictureModel = SettingSection(
        title: "Model (pictures)",
        settings: [
            Setting("vae", \.pictures.vae, example: "models/vae-ft-mse", "another autoencoder than the base's")
                .existingPath,
            Setting(
                "prediction_type", \.pictures.prediction, example: "epsilon",
                "epsilon or v_prediction; absent: as the base says"),
            Setting(
                "clip_skip", \.pictures.clipSkip, .from(1, to: 12), example: "2",
                "layer of the text encoder that is read: 1 the last"),
        ].map { $0.only(.textToImage) })

    static let pictureData = SettingSection(
        title: "Pictures",
        settings: [
            Setting(
                "resolution", \.pictures.resolutionPixels, .pixels, example: "512",
                "pixels; absent: what the base was trained on"),
            Setting("buckets", \.pictures.usesBuckets, example: "true", "pictures keep their proportions"),
            Setting("random_flip", \.pictures.flips, example: "true", "half of the uses, by chance, are mirrored"),
            Setting("trigger_word", \.pictures.triggerWord, example: "\"ink wash\"", "put before every caption"),
            Setting(
                "shuffle_captions", \.pictures.shufflesCaptions, example: "true",
                "parts between commas change places"),
            Setting(
                "keep_tokens", \.pictures.keptTokens, .from(0, to: 100), example: "1",
                "parts at the beginning that stay"),
            Setting(
                "caption_dropout", \.pictures.captionDropout, .share, example: "0.1",
                "share of uses without a caption"),
            Setting(
                "regularization_data", \.pictures.regularizationData, example: "data/class",
                "pictures of the general class"
            ).existingPath,
            Setting(
                "prior_loss_weight", \.pictures.priorLossWeight, .notNegative, example: "1.0",
                "of regularization_data"),
            Setting("masks", \.pictures.masks, example: "data/masks", "a folder; white is learnt").existingPath,
            Setting("alpha_mask", \.pictures.masksByAlpha, example: "true", "what is transparent is not learnt"),
            Setting("skip_broken", \.pictures.skipsBroken, example: "true", "leave out what cannot be read"),
            Setting(
                "cache_dir", \.pictures.cacheDirectory, example: "/tmp/lora-cache",
                "latents and text states; absent: ~/.cache/lora"
            ).besideResult,
        ].map { $0.only(.textToImage) })

    static let noise = SettingSection(
        title: "Noise",
        settings: [
            Setting(
                "min_snr_gamma", \.pictures.minSNRGamma, .positive, example: "5",
                "weighs steps; absent: all alike"),
            Setting(
                "noise_offset", \.pictures.noiseOffset, .notNegative, example: "0.05", "darker darks, lighter lights"),
            Setting(
                "zero_terminal_snr", \.pictures.zeroTerminalSNR, example: "true", "the schedule ends in pure noise"),
        ].map { $0.only(.textToImage) })

    static let pictureSamples = [
        Setting(
            "samples.negative_prompt", \.pictureSamples.negativePrompt, example: "\"blurry\"",
            "what must not be seen"),
        Setting(
            "samples.strengths", \.pictureSamples.strengths, example: "[0, 0.4, 0.8, 1.0]",
            "the adapter's, a column each"),
        Setting(
            "samples.sampling_steps", \.pictureSamples.samplingSteps, .from(1, to: 1000), example: "25",
            "of the sampler"),
        Setting(
            "samples.guidance_scale", \.pictureSamples.guidance, .atLeast(1), example: "7.5",
            "how strongly prompts are followed"),
        Setting(
            "samples.sampler", \.pictureSamples.sampler, example: "dpmpp_2m",
            "ddim, pndm, euler, euler_a, dpmpp_2m …"),
        Setting("samples.size", \.pictureSamples.size, example: "768x512", "absent: resolution"),
        Setting("samples.seed", \.pictureSamples.seed, .atLeast(0), example: "7", "absent: seed"),
    ].map { $0.only(.textToImage).besideResult }
}

extension NumberRange {
    /// Sides of pictures that an autoencoder can halve three times.
    fileprivate static let pixels = NumberRange(words: " from 16 to 4096 that is a multiple of 8") {
        $0 >= 16 && $0 <= 4096 && $0.truncatingRemainder(dividingBy: 8) == 0
    }
}
