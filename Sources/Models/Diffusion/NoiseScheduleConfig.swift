// What `scheduler/scheduler_config.json` of a diffusers folder says about noise.

import Foundation

/// What a diffusion model's output stands for.
public enum Prediction: String, Sendable, CaseIterable {
    /// The noise (Ho et al., arXiv:2006.11239).
    case epsilon
    /// The velocity √ᾱ ε − √(1 − ᾱ) x₀ (Salimans and Ho, arXiv:2202.00512).
    case velocity = "v_prediction"
    /// The latent without noise.
    case sample
}

/// How the variance of the noise grows from step to step.
public enum BetaSchedule: String, Sendable, CaseIterable {
    case linear
    /// Linear in the square root, as all latent diffusion models are trained.
    case scaledLinear = "scaled_linear"
    /// Nichol and Dhariwal's cosine (arXiv:2102.09672).
    case cosine = "squaredcos_cap_v2"
}

/// Which of the training's steps a sampler visits (table 2 of arXiv:2305.08891).
public enum TimestepSpacing: String, Sendable, CaseIterable {
    case leading, trailing, linspace
}

/// The noise a model was trained with, and how a sampler visits it.
public struct NoiseScheduleConfig: Sendable, Equatable {
    /// How β grows from the first step to the last.
    public var betaSchedule = BetaSchedule.scaledLinear
    /// β of the first step; the cosine has no use for it.
    public var betaStart = 0.00085
    /// β of the last step; the cosine has no use for it.
    public var betaEnd = 0.012
    /// The variances themselves, instead of a schedule.
    public var trainedBetas: [Double]?
    /// The number of the training's steps.
    public var trainTimesteps = 1000
    /// What the model's output stands for.
    public var prediction = Prediction.epsilon
    /// Whether the schedule is stretched until its last step is pure noise (arXiv:2305.08891).
    public var rescalesToZeroSNR = false
    /// What is added to `leading` timesteps.
    public var stepsOffset = 0
    /// nil: each sampler has a spacing of its own.
    public var timestepSpacing: TimestepSpacing?
    /// Whether the step after the last one is free of noise, and not as noisy as the first; nil: as the sampler has it.
    public var setsAlphaToOne: Bool?

    /// Stable Diffusion 1's.
    public init() {}
}

// MARK: - From diffusers

extension NoiseScheduleConfig {
    /// The fields that are read; all others are ignored.
    private struct File: Decodable {
        let numTrainTimesteps, stepsOffset: Int?
        let betaStart, betaEnd: Double?
        let betaSchedule, predictionType, timestepSpacing: String?
        let trainedBetas: [Double]?
        let setAlphaToOne, rescaleBetasZeroSnr, clipSample, thresholding: Bool?
    }

    /// Reads `scheduler/scheduler_config.json` of a diffusers folder.
    public init(folder: URL) throws {
        try self.init(file: folder.appendingPathComponent("scheduler/scheduler_config.json"))
    }

    /// Reads a `scheduler_config.json`; what it leaves out is diffusers' default, not Stable Diffusion's.
    public init(file url: URL) throws {
        guard let data = try? Data(contentsOf: url) else {
            throw ModelError.config(
                file: url.path, problem: "cannot be read; a diffusers folder has this file: fetch the folder again")
        }
        let file: File
        do {
            let decoder = JSONDecoder()
            decoder.keyDecodingStrategy = .convertFromSnakeCase
            file = try decoder.decode(File.self, from: data)
        } catch let error as DecodingError {
            throw ModelError.config(file: url.path, problem: "\(error.inWords); fetch the file again")
        }
        func choice<Choice: RawRepresentable & CaseIterable>(
            _ key: String, _ value: String?
        ) throws -> Choice? where Choice.RawValue == String {
            guard let value else { return nil }
            if let choice = Choice(rawValue: value) { return choice }
            let known = Choice.allCases.map { "'\($0.rawValue)'" }.joined(separator: ", ")
            throw ModelError.config(file: url.path, problem: "'\(key)' is '\(value)'; lora reads \(known)")
        }
        betaSchedule = try choice("beta_schedule", file.betaSchedule) ?? .linear
        prediction = try choice("prediction_type", file.predictionType) ?? .epsilon
        timestepSpacing = try choice("timestep_spacing", file.timestepSpacing)
        (betaStart, betaEnd) = (file.betaStart ?? 0.0001, file.betaEnd ?? 0.02)
        trainedBetas = file.trainedBetas
        trainTimesteps = file.trainedBetas?.count ?? file.numTrainTimesteps ?? 1000
        stepsOffset = file.stepsOffset ?? 0
        rescalesToZeroSNR = file.rescaleBetasZeroSnr ?? false
        setsAlphaToOne = file.setAlphaToOne
        for (key, value) in [("clip_sample", file.clipSample), ("thresholding", file.thresholding)] where value == true
        {
            throw ModelError.config(
                file: url.path, problem: "'\(key)' is true, which is for models of pixels; lora reads models of latents"
            )
        }
        try check(url.path)
    }

    /// Refuses numbers that no model has, before anything is computed with them.
    private func check(_ file: String) throws {
        func refuse(_ key: String, _ value: Any, _ expected: String) -> ModelError {
            .config(file: file, problem: "'\(key)' is \(value), expected \(expected); fetch the file again")
        }
        guard (2...100_000).contains(trainTimesteps) else {
            throw refuse("num_train_timesteps", trainTimesteps, "2 to 100000")
        }
        guard (0..<trainTimesteps).contains(stepsOffset) else {
            throw refuse("steps_offset", stepsOffset, "0 to \(trainTimesteps - 1)")
        }
        for (key, beta) in [("beta_start", betaStart), ("beta_end", betaEnd)] where !(beta > 0 && beta < 1) {
            throw refuse(key, beta, "a number between 0 and 1")
        }
        if let beta = trainedBetas?.first(where: { !($0 >= 0 && $0 < 1) }) {
            throw refuse("trained_betas", beta, "numbers between 0 and 1")
        }
    }
}
