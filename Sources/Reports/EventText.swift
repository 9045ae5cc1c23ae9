// Events in words, for the console and the log.

import Runs

/// Says what happened, in one line (samples: in several on the console).
struct EventText {
    private let event: TrainingEvent
    private let language: ReportLanguage

    init(_ event: TrainingEvent, _ language: ReportLanguage) { (self.event, self.language) = (event, language) }

    /// What the console shows; absent for steps.
    var console: String? {
        guard event.type == .sample else { return event.type == .step ? nil : logged }
        let who = event.name ?? language("adapter", "适配器")
        let answer = event.text ?? event.path ?? ""
        return "[\(who)] \(Self.oneLine(event.prompt ?? ""))\n    " + Self.shortened(Self.oneLine(answer), 200)
    }

    /// What the log keeps.
    var logged: String {
        switch event.type {
        case .start:
            return event.step == 0
                ? language("start", "开始") : language("resume at step \(event.step)", "从第 \(event.step) 步继续")
        case .step: return step
        case .validation:
            let loss = event.loss.map(Numbers.loss) ?? "–"
            return language("validation at step \(event.step): loss \(loss)", "第 \(event.step) 步验证:损失 \(loss)")
        case .checkpoint:
            let path = event.path ?? ""
            return language("checkpoint at step \(event.step): \(path)", "第 \(event.step) 步检查点:\(path)")
        case .sample:
            let texts = [event.name, event.prompt, event.text ?? event.path].map { Self.oneLine($0 ?? "") }
            return language("sample at step \(event.step)", "第 \(event.step) 步样例")
                + " [\(texts[0])] \(texts[1]) → \(texts[2])"
        case .warning: return language("warning: ", "警告:") + Self.oneLine(event.message ?? "")
        case .finish:
            return language("finished at step \(event.step): ", "结束于第 \(event.step) 步:")
                + Self.oneLine(event.message ?? "")
        }
    }

    private var step: String {
        let fields: [String?] = [
            language("step \(event.step)", "第 \(event.step) 步"),
            language("epoch ", "轮 ") + Numbers.fixed(event.epoch, 3),
            event.loss.map { language("loss ", "损失 ") + Numbers.fixed($0, 6) },
            event.learningRate.map { language("lr ", "学习率 ") + Numbers.scientific($0) },
            event.gradientNorm.map { language("gradient norm ", "梯度范数 ") + Numbers.loss($0) },
            event.tokensPerSecond.map { Numbers.rate($0) + language(" tok/s", " 词元/秒") },
            event.imagesPerSecond.map { Numbers.rate($0) + language(" img/s", " 图/秒") },
            event.stepSeconds.map { Numbers.fixed($0, 3) + language(" s", " 秒") },
            event.memoryMib.map { Numbers.memory(mib: $0) },
        ]
        return fields.compactMap { $0 }.joined(separator: " · ")
    }

    static func oneLine(_ text: String) -> String {
        let printable = text.unicodeScalars.map { $0.value < 32 || $0.value == 127 ? " " : String($0) }.joined()
        return printable.split(separator: " ").joined(separator: " ")
    }

    private static func shortened(_ text: String, _ limit: Int) -> String {
        text.count <= limit ? text : text.prefix(limit - 1) + "…"
    }
}
