// What a run over pictures is asked to do beyond what text and pictures share.

import Foundation

/// What is learnt from pictures, and how they are prepared.
public struct PictureOptions: Sendable, Equatable {
    /// Another autoencoder than the base's own: a folder or a file.
    public var vae: String?
    /// What the model predicts; nil: as the base says.
    public var prediction: PredictionChoice?
    /// Which layer of the text encoder is read: 1 the last, 2 the one before.
    public var clipSkip = 1
    /// The side of the square whose area pictures have; nil: what the base was trained on.
    public var resolutionPixels: Int?
    /// True: pictures keep their proportions, in batches of one shape; false: all are cut to squares.
    public var usesBuckets = true
    /// True: half of the uses of pictures, by chance, are mirrored.
    public var flips = false
    /// Put before every caption.
    public var triggerWord: String?
    /// True: the parts of a caption between commas change their order each epoch.
    public var shufflesCaptions = false
    /// Parts at the beginning of a caption that stay where they are.
    public var keptTokens = 0
    /// The share of uses without a caption, so that guidance keeps working.
    public var captionDropout = 0.0
    /// Pictures of the general class, which keep the model from forgetting it.
    public var regularizationData: String?
    /// The weight of their loss.
    public var priorLossWeight = 1.0
    /// A folder of masks with the pictures' names: white is learnt, black is not.
    public var masks: String?
    /// True: what is transparent is not learnt.
    public var masksByAlpha = false
    /// True: pictures that cannot be read are left out; false: they are an error.
    public var skipsBroken = false
    /// Where latents and text states are kept between runs; nil: the user's cache folder.
    public var cacheDirectory: String?
    /// Patterns of the text encoder's layers; empty: it is not trained.
    public var textEncoderTargets: [String] = []
    /// The text encoder's learning rate; nil: half of the UNet's.
    public var textEncoderLearningRate: Double?
    /// How much of the noise is the same for a whole channel, for darker darks and lighter lights.
    public var noiseOffset = 0.0
    /// γ of min-SNR-γ (arXiv:2303.09556); nil: all steps weigh the same.
    public var minSNRGamma: Double?
    /// True: the schedule is stretched to end in pure noise (arXiv:2305.08891).
    public var zeroTerminalSNR = false
}

/// What a diffusion model predicts.
public enum PredictionChoice: String, Sendable, CaseIterable, Codable {
    /// The noise, or the velocity.
    case epsilon, velocity = "v_prediction"
}

/// How pictures are made from noise.
public enum SamplerChoice: String, Sendable, CaseIterable, Codable {
    /// By the names that prompts and web pages use.
    case ddim, pndm, euler
    case eulerAncestral = "euler_a"
    case dpmSolver = "dpmpp_2m"
    case dpmSolverKarras = "dpmpp_2m_karras"
}

/// Width and height of a sample, in pixels.
public struct SampleSize: Sendable, Equatable, Codable {
    /// Pixels in each direction.
    public var width, height: Int

    /// Makes a size.
    public init(width: Int, height: Int) { (self.width, self.height) = (width, height) }

    /// Reads `768x512`, or `512` for a square; nil for anything else.
    public init?(_ text: String) {
        guard let match = text.wholeMatch(of: /([0-9]{2,5})(?:[x×]([0-9]{2,5}))?/), let width = Int(match.1) else {
            return nil
        }
        self.init(width: width, height: match.2.flatMap { Int($0) } ?? width)
    }

    /// Whether a picture can have this size: both sides multiples of 8.
    public var isUsable: Bool { [width, height].allSatisfy { $0.isMultiple(of: 8) && (16...8192).contains($0) } }
}

/// How pictures for the report are made.
public struct PictureSampleOptions: Sendable, Equatable {
    /// What must not be seen.
    public var negativePrompt = ""
    /// The adapter's strengths, a column each.
    public var strengths = [0, 0.4, 0.8, 1.0]
    /// Evaluations of the sampler.
    public var samplingSteps = 25
    /// How strongly the prompt is followed; 1: not at all beyond the model's own prediction.
    public var guidance = 7.5
    /// The way from noise to a picture.
    public var sampler = SamplerChoice.dpmSolver
    /// nil: the training's resolution.
    public var size: SampleSize?
    /// The noise that every picture starts from; nil: the run's seed.
    public var seed: Int?

    /// Every value at its default.
    public init() {}
}

extension PredictionChoice: SettingChoice {}
extension SamplerChoice: SettingChoice {}

extension SampleSize: SettingValue {
    static let noun = "a size such as 512 or 768x512, each a multiple of 8"
    static func read(_ value: LocatedValue) -> SampleSize? {
        value.text.flatMap(SampleSize.init).flatMap { $0.isUsable ? $0 : nil }
    }
    var written: String? { width == height ? "\(width)" : "\(width)x\(height)" }
}
