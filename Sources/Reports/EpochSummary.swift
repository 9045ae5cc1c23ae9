// The averages of an epoch, and the word for how its loss compares with the epoch before.

import Runs

/// One row of the epoch table.
struct EpochSummary: Sendable {
    /// How the average loss compares with the epoch before: `falling` by 10 % or more, `converging` by 2 to 10 %,
    /// `flat` within 2 %, `rising` by 2 % or more.
    enum Trend: Sendable, Equatable { case first, falling, converging, flat, rising }

    /// Counted from 1.
    var number: Int
    var steps: Int
    var lastStep: Int
    /// Over the steps whose loss is a number; absent if there is none.
    var averageLoss: Double?
    /// At the epoch's last step.
    var learningRate: Double?
    var tokensPerSecond: Double?
    var imagesPerSecond: Double?
    /// The highest of the epoch.
    var memoryMib: Double?
    /// The last of the epoch.
    var validationLoss: Double?
    var isComplete: Bool
    /// Absent where there is nothing to compare.
    var trend: Trend?

    /// The word for a change from one average to the next.
    static func trend(from before: Double, to now: Double) -> Trend {
        guard before > 0 else { return now > before ? .rising : now < before ? .falling : .flat }
        let percent = (now / before - 1) * 100
        if percent <= -10 + 1e-9 { return .falling }
        if percent <= -2 + 1e-9 { return .converging }
        return percent < 2 - 1e-9 ? .flat : .rising
    }

    /// One summary for each epoch that has steps.
    static func all(steps: [TrainingEvent], validations: [TrainingEvent]) -> [EpochSummary] {
        var epochs: [EpochSummary] = []
        var start = steps.startIndex
        while start < steps.endIndex {
            let number = epochNumber(steps[start].epoch)
            let end = steps[start...].firstIndex { epochNumber($0.epoch) != number } ?? steps.endIndex
            let isComplete = end < steps.endIndex || steps[end - 1].epoch >= Double(number) - 1e-6
            epochs.append(EpochSummary(number, steps[start..<end], isComplete: isComplete))
            start = end
        }
        for index in epochs.indices { epochs[index].compare(with: index > 0 ? epochs[index - 1] : nil) }
        for validation in validations {
            let position = epochs.firstIndex { $0.lastStep >= validation.step } ?? epochs.indices.last
            if let position { epochs[position].validationLoss = validation.loss }
        }
        return epochs
    }

    private init(_ number: Int, _ steps: ArraySlice<TrainingEvent>, isComplete: Bool) {
        self.number = number
        self.steps = steps.count
        self.isComplete = isComplete
        lastStep = steps.last?.step ?? 0
        let losses = steps.compactMap(\.loss).filter(\.isFinite)
        averageLoss = losses.isEmpty ? nil : losses.reduce(0, +) / Double(losses.count)
        learningRate = steps.last { $0.learningRate != nil }?.learningRate
        memoryMib = steps.compactMap(\.memoryMib).max()
        tokensPerSecond = Self.rate(steps, \.tokensPerSecond)
        imagesPerSecond = Self.rate(steps, \.imagesPerSecond)
    }

    /// The rate over all the steps' time, so that long steps count more; the plain mean where times are missing.
    static func rate(_ steps: ArraySlice<TrainingEvent>, _ key: KeyPath<TrainingEvent, Double?>) -> Double? {
        var (amount, seconds, sum, count) = (0.0, 0.0, 0.0, 0)
        for step in steps {
            guard let rate = step[keyPath: key], rate.isFinite else { continue }
            (sum, count) = (sum + rate, count + 1)
            guard let time = step.stepSeconds, time.isFinite, time > 0 else { continue }
            (amount, seconds) = (amount + rate * time, seconds + time)
        }
        guard count > 0 else { return nil }
        return seconds > 0 ? amount / seconds : sum / Double(count)
    }

    private mutating func compare(with before: EpochSummary?) {
        guard isComplete, let now = averageLoss else { return }
        guard let before else { return trend = number == 1 ? .first : nil }
        guard before.isComplete, let earlier = before.averageLoss else { return }
        trend = Self.trend(from: earlier, to: now)
    }

    /// The end of epoch 1 is 1.0 and belongs to it.
    private static func epochNumber(_ epoch: Double) -> Int {
        max(1, Numbers.integer((epoch - 1e-6).rounded(.down)) + 1)
    }
}
