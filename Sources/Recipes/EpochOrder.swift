// Which samples a step has, by the plan of its epoch; text and pictures share it.

/// The micro-batches of each step. An epoch's plan is made once and kept while the epoch lasts.
struct EpochOrder<Use> {
    private let stepsPerEpoch: Int
    private let plan: (Int) -> [[[Use]]]
    private var current: (epoch: Int, steps: [[[Use]]])?

    /// - Parameter plan: gives the steps of an epoch, each a list of micro-batches.
    init(stepsPerEpoch: Int, plan: @escaping (Int) -> [[[Use]]]) {
        (self.stepsPerEpoch, self.plan) = (stepsPerEpoch, plan)
    }

    /// The micro-batches of a step of the run, counted from 0.
    mutating func microBatches(ofStep step: Int) -> [[Use]] {
        let (epoch, index) = (step / stepsPerEpoch, step % stepsPerEpoch)
        if let current, current.epoch == epoch { return current.steps[index] }
        let steps = plan(epoch)
        current = (epoch, steps)
        return steps[index]
    }
}
