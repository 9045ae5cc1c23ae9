// What a trainer needs of a way to train: text and pictures each have one.

import Foundation
import Torch

/// What one optimizer step saw.
public struct StepMeasure: Sendable {
    /// Mean over what is learnt in the whole step, all micro-batches together.
    public var loss: Double
    /// Tokens computed, padding not counted.
    public var tokens: Int?
    /// Pictures computed.
    public var images: Int?

    /// Makes a measure with what the task counts.
    public init(loss: Double, tokens: Int? = nil, images: Int? = nil) {
        (self.loss, self.tokens, self.images) = (loss, tokens, images)
    }
}

/// A way to train: it computes gradients, and knows what a step is made of.
public protocol TrainingTask: AnyObject {
    /// Adds the gradients of step `step` (counted from 0) to the parameters.
    ///
    /// A function of the step alone: the same step always has the same samples and the same random numbers.
    ///
    /// - Parameter scale: what the gradients, but not the loss that is told, are multiplied by.
    func computeGradients(step: Int, scale: Double) throws -> StepMeasure
    /// The names of the step's samples, for messages.
    func samples(ofStep step: Int) -> [String]
    /// The mean loss over what was held back; nil where nothing was.
    func validationLoss() throws -> Double?
    /// Answers or pictures to look at, made by the adapter as it is after `step`, or by the base model alone before the
    /// first step (0); nil where someone asked to stop before they were made.
    func makeSamples(step: Int) throws -> [SampleResult]?
    /// Writes the adapter, complete and ready to use, into an empty folder.
    func writeAdapter(to folder: String) throws
    /// Writes what is taken away beside the finished adapter, into the run folder; gives the files.
    func writeExports(to folder: URL) throws -> [URL]
}

extension TrainingTask {
    /// Nothing.
    public func writeExports(to folder: URL) throws -> [URL] { [] }
}

/// One thing made by the model to look at.
public struct SampleResult: Sendable {
    /// What was asked.
    public var prompt: String
    /// The answer, of a language model.
    public var text: String?
    /// The picture, relative to the run folder.
    public var path: String?

    /// Makes a sample of an answer or a picture.
    public init(prompt: String, text: String? = nil, path: String? = nil) {
        (self.prompt, self.text, self.path) = (prompt, text, path)
    }
}
