// How much memory a run takes, by part, from what each operator keeps for its way back (Sources/Kernels).

import Foundation
import LoRA
import Models
import NN
import Runs
import Torch

/// What decides how much memory a run's steps take.
struct MemoryDemand {
    var batch: PlannedWork.MicroBatch
    var checkpointsGradients: Bool
    /// Questions answered at once, and the tokens of the longest question and answer together.
    var questions: Int
    var answerLength: Int

    init(_ work: PlannedWork, _ configuration: Configuration) {
        batch = work.largest
        checkpointsGradients = configuration.run.gradientCheckpointing
        questions = configuration.samples.prompts.count
        let longest = configuration.samples.prompts.map { $0.utf8.count / 3 + 40 }.max() ?? 0
        answerLength = questions == 0 ? 0 : longest + configuration.samples.maxTokens
    }
}

/// Where the memory is, and what the program takes of it.
struct MemoryRoom {
    let program: Int
    let placement: Placement
    let available: Int
    let total: Int

    init(program: Int, placement: Placement) {
        (self.program, self.placement) = (program, placement)
        (total, available) = (MachineState.memory.total, MachineState.memory.available + program)
    }
}

/// Bytes that a run takes at its peak, by part.
struct PlannedMemory {
    let program, base, adapter, activations, scratch: Int
    let room: MemoryRoom

    init(_ base: PlannedBase, _ adapter: PlannedAdapter, _ demand: MemoryDemand, _ room: MemoryRoom) {
        let onCPU = room.placement.device == .cpu
        let width = room.placement.dtype == .float32 ? 4 : 2
        let shapes = LayerShapes(base, adapter, elementBytes: width)
        self.room = room
        program = room.program
        self.base = onCPU ? base.bytes : width * base.parameters
        // Parameters, gradients, two moments: fp32 everywhere.
        self.adapter = 16 * adapter.parameters
        activations = shapes.kept(demand)
        let head = HeadShapes(base)
        let answers = head.answering(demand, shapes)
        let step = max(head.forward(demand.batch), shapes.transient(demand.batch.tokens))
        let expanded = onCPU ? shapes.expanded(questions: demand.questions) : 0
        // Answers come before and after training, a checkpoint between steps: neither while activations are held.
        let saving = 12 * adapter.parameters
        scratch = expanded + max(step, max(answers, saving) - activations)
    }

    /// At the peak.
    var total: Int { program + base + adapter + activations + scratch }

    /// Whether it goes into what is free, with a tenth to spare.
    var fits: Bool { room.placement.device != .cpu || total + total / 10 <= room.available }
}

/// What one decoder layer keeps and passes through.
struct LayerShapes {
    private let config: LlamaConfig
    private let adapter: PlannedAdapter
    private let elementBytes: Int
    private let isPacked: Bool

    init(_ base: PlannedBase, _ adapter: PlannedAdapter, elementBytes: Int) {
        (config, self.adapter, self.elementBytes) = (base.config, adapter, elementBytes)
        isPacked = base.types.first.map { $0 != .f32 } ?? true
    }

    private var queries: Int { config.heads * config.headSize }
    private var keys: Int { config.keyValueHeads * config.headSize }

    /// Numbers a token that one layer keeps for its way back: those saved by RMSNorm, the linear layers, RoPE,
    /// attention and SwiGLU; what several of them save counts once.
    private func keptPerToken(layer: Int) -> Int {
        let names = adapter.names(inLayer: layer)
        let hasAny = { (of: [String]) in !names.isDisjoint(with: of) }
        let hidden = config.hiddenSize, inner = config.intermediateSize
        var count = 2 * (hidden + 1)  // the residual stream before both norms, a number for each row
        if hasAny(["q_proj", "k_proj", "v_proj"]) { count += hidden }  // the norm's output
        count += queries + 2 * keys  // v is a view of the joined product, which stays whole
        count += queries + keys  // rotated
        count += queries + config.heads  // attention's output and its log-sum-exp
        if hasAny(["gate_proj", "up_proj"]) { count += hidden }
        count += 2 * inner
        if hasAny(["down_proj"]) { count += inner }
        count += adapter.config.rank * names.count
        // What only passes through lies between what is kept; once it is freed, about half of it stays a hole in the
        // heap (measured).
        var passing = queries
        if !hasAny(["q_proj", "k_proj", "v_proj"]) { passing += hidden }
        if !hasAny(["gate_proj", "up_proj"]) { passing += hidden }
        if !hasAny(["down_proj"]) { passing += inner }
        return count + passing / 2
    }

    /// Bytes kept from the way forward to the way back, at their most.
    func kept(_ demand: MemoryDemand) -> Int {
        let tokens = demand.batch.tokens
        let layers = adapter.firstLayer..<max(adapter.firstLayer, config.layers)
        if demand.checkpointsGradients {
            // One layer is held at a time; the heap, which keeps pieces of earlier layers and steps, grows to about a
            // quarter of them (measured from the second step on).
            let held = (1 + config.layers / 4) * (layers.map(keptPerToken).max() ?? 0)
            return elementBytes * tokens * (config.layers * config.hiddenSize + held)
        }
        return elementBytes * tokens * layers.reduce(0) { $0 + keptPerToken(layer: $1) }
    }

    /// Bytes that pass through one layer on the way back: gradients of SwiGLU's input and output and of the stream.
    func transient(_ tokens: Int) -> Int {
        elementBytes * tokens * (3 * config.intermediateSize + 3 * config.hiddenSize)
    }

    /// The memory that quantised weights are expanded into, shared by all layers.
    func expanded(questions: Int) -> Int {
        guard isPacked else { return 0 }
        let hidden = config.hiddenSize
        let layers = max(hidden * (queries + 2 * keys), 2 * hidden * config.intermediateSize)
        let panel = min(config.vocabularySize, 4096) * hidden
        // Beyond 16 rows a product expands its weights as a whole, the head's, too.
        let head = questions > 16 ? config.vocabularySize * hidden : 0
        return 4 * max(layers, panel, head)
    }

    /// Keys and values of one token in all layers.
    var cachePerToken: Int { elementBytes * 2 * keys * config.layers }
}

/// What the head and its loss take.
struct HeadShapes {
    private let vocabulary, hidden: Int

    init(_ base: PlannedBase) { (vocabulary, hidden) = (base.config.vocabularySize, base.config.hiddenSize) }

    /// A chunk of logits, the supervised rows and their gradients (Sources/Kernels/CrossEntropy.cpp).
    func forward(_ batch: PlannedWork.MicroBatch) -> Int {
        let chunk = max(16, (96 << 20) / max(1, 4 * vocabulary))
        let rows = min(batch.supervised, chunk)
        return 4 * (rows * (vocabulary + hidden) + 2 * batch.supervised * hidden + batch.tokens * hidden)
    }

    /// Key-value caches and logits while questions are answered.
    func answering(_ demand: MemoryDemand, _ shapes: LayerShapes) -> Int {
        let length = demand.questions * demand.answerLength
        return length * shapes.cachePerToken + 4 * demand.questions * vocabulary + shapes.transient(length / 2)
    }
}
