// The body of the report: samples before and after, data, adapter, resources, warnings.

import Foundation
import Runs

extension Report {
    /// A question with the answers of the base and of the newest adapter.
    private struct Pair {
        var prompt: String
        var base: TrainingEvent?
        var adapter: TrainingEvent?
    }

    /// The answers side by side, or the pictures.
    var samples: [String] {
        if history.samples.contains(where: { $0.path != nil }) { return grids }
        var order: [String] = []
        var pairs: [String: Pair] = [:]
        for sample in history.samples {
            let prompt = sample.prompt ?? ""
            if pairs[prompt] == nil { order.append(prompt) }
            var pair = pairs[prompt] ?? Pair(prompt: prompt)
            if sample.name == "base" { pair.base = sample } else { pair.adapter = sample }
            pairs[prompt] = pair
        }
        guard !order.isEmpty else { return [] }
        let shown = order.prefix(24).compactMap { pairs[$0] }
        let steps = Set(shown.compactMap { $0.adapter?.step })
        let heading = steps.count == 1 ? language(" (step \(steps.first ?? 0))", "(第 \(steps.first ?? 0) 步)") : ""
        let columns = [
            Markdown.Column(heading: language("Prompt", "提问")), .init(heading: language("Base model", "基础模型")),
            .init(heading: language("With the adapter", "加上适配器") + heading),
        ]
        let rows = shown.map { pair in
            let step =
                steps.count > 1 ? pair.adapter.map { language("*step \($0.step):* ", "*第 \($0.step) 步:* ") } : nil
            return [
                "**\(clipped(pair.prompt.trimmingCharacters(in: .whitespacesAndNewlines)))**", answer(pair.base),
                (step ?? "") + answer(pair.adapter),
            ]
        }
        var parts = [language("## Samples", "## 样例"), Markdown.table(columns, rows)]
        if order.count > shown.count {
            let rest = order.count - shown.count
            parts.append(
                language(
                    "\(rest) more are in [events.jsonl](events.jsonl).", "另有 \(rest) 条见 [events.jsonl](events.jsonl)。"))
        }
        return parts
    }

    private func answer(_ sample: TrainingEvent?) -> String {
        guard let sample else { return language("*not asked*", "*未提问*") }
        guard let text = sample.text else { return language("*not recorded*", "*未记录*") }
        let trimmed = text.trimmingCharacters(in: .whitespacesAndNewlines)
        return trimmed.isEmpty ? language("*empty answer*", "*空回答*") : clipped(trimmed)
    }

    /// A cell of at most 1,200 characters, which says so when it leaves some out.
    private func clipped(_ text: String) -> String {
        let limit = 1200
        guard text.count > limit else { return Markdown.cell(text) }
        let rest = Numbers.count(text.count - limit)
        return Markdown.cell(String(text.prefix(limit)))
            + language(" … *(\(rest) more characters)*", "……*(还有 \(rest) 个字符)*")
    }

    /// What was trained on.
    var dataSection: [String] {
        guard let data = facts.data else { return [] }
        if let pictures = data.pictures { return pictureSection(data, pictures) }
        let share = data.tokens > 0 ? " (\(Numbers.percent(Double(data.supervisedTokens) / Double(data.tokens))))" : ""
        let lengths = [data.shortest, data.median, data.longest].map(Numbers.count).joined(separator: " / ")
        let limit = value("max_length").map { language("by `max_length` \($0)", "(`max_length` 为 \($0))") }
        let changed = [
            language("\(Numbers.count(data.truncated)) truncated", "截断 \(Numbers.count(data.truncated)) 条"),
            language("\(Numbers.count(data.split)) split", "拆分 \(Numbers.count(data.split)) 条"),
            language("\(Numbers.count(data.dropped)) dropped", "丢弃 \(Numbers.count(data.dropped)) 条"),
        ].joined(separator: language(", ", ","))
        let rows = [
            [language("Format", "格式"), Markdown.escaped(data.format)],
            [language("Samples", "样本"), Numbers.count(data.samples)],
            [language("Tokens", "词元"), Numbers.count(data.tokens)],
            [language("Tokens trained on", "参与训练的词元"), Numbers.count(data.supervisedTokens) + share],
            [language("Tokens of a sample: shortest / median / longest", "单条样本的词元:最短 / 中位 / 最长"), lengths],
            [language("Changed \(limit ?? "to fit")", "长度处理\(limit ?? "")"), changed],
        ]
        return [language("## Data", "## 数据"), pairs(rows)]
    }

    /// What was trained.
    var adapterSection: [String] {
        guard let adapter = facts.adapter else { return [] }
        var size = Numbers.count(adapter.parameters)
        if let base = facts.base, base.parameters > 0 {
            let share = Numbers.percent(Double(adapter.parameters) / Double(base.parameters))
            size += language(" (\(share) of the base)", "(基础模型的 \(share))")
        }
        let layers = adapter.modules.sorted { $0.key < $1.key }.map {
            "\(Markdown.code($0.key)) × \(Numbers.count($0.value))"
        }
        var rows = [
            [language("Trained weights", "训练的权重"), size],
            [language("Adapted layers", "适配的层"), layers.joined(separator: language(", ", "、"))],
        ]
        rows.append([language("Effective scale", "有效缩放"), Numbers.short(adapter.scale, 4)])
        let settings: [(String, String)] = [
            (language("Dropout", "丢弃率(dropout)"), "lora_dropout"), (language("Schedule", "学习率调度"), "lr_scheduler"),
            (language("Warm-up steps", "预热步数"), "warmup_steps"), (language("Weight decay", "权重衰减"), "weight_decay"),
            (language("Gradient clipped at", "梯度裁剪"), "max_grad_norm"),
            (language("Precision", "精度"), "mixed_precision"),
        ]
        for (name, key) in settings { if let text = value(key) { rows.append([name, Markdown.escaped(text)]) } }
        return [language("## Adapter", "## 适配器"), pairs(rows)]
    }

    /// What it took.
    var resources: [String] {
        var rows: [[String]] = []
        if facts.seconds > 0 {
            let sessions =
                history.sessions > 1 ? language(" in \(history.sessions) sessions", "(分 \(history.sessions) 次运行)") : ""
            rows.append([language("Time", "用时"), Numbers.duration(facts.seconds, language) + sessions])
        }
        if let rate = EpochSummary.rate(history.steps[...], \.tokensPerSecond) {
            rows.append([language("Tokens a second", "每秒词元"), Numbers.rate(rate)])
        }
        if let rate = EpochSummary.rate(history.steps[...], \.imagesPerSecond) {
            rows.append([language("Images a second", "每秒图片"), Numbers.rate(rate)])
        }
        let peak = max(facts.peakMemoryMib, history.steps.compactMap(\.memoryMib).max() ?? 0)
        if peak > 0 { rows.append([language("Peak memory", "内存峰值"), Numbers.memory(mib: peak)]) }
        if let machine = facts.machine {
            rows.append([language("Device", "设备"), Markdown.escaped(machine.device)])
            rows.append([language("System", "系统"), Markdown.escaped(machine.system)])
            rows.append([language("Computed in", "计算精度"), Markdown.escaped(machine.dtype)])
        }
        return rows.isEmpty ? [] : [language("## Resources", "## 资源"), pairs(rows)]
    }

    /// Everything that someone should look at.
    var warnings: [String] {
        var all = facts.data?.warnings ?? []
        let broken = history.nonFiniteSteps
        if let first = broken.first {
            all.append(
                language(
                    "The loss of \(broken.count) \(broken.count == 1 ? "step" : "steps") is not a number, first of step \(first)",
                    "\(broken.count) 步的损失不是数,首先是第 \(first) 步"))
        }
        return all + history.warnings
    }

    /// The warnings as a list of at most 50.
    var warningList: [String] {
        guard !warnings.isEmpty else { return [] }
        var lines = warnings.prefix(50).map { "- \(Markdown.escaped($0))" }
        let rest = warnings.count - lines.count
        if rest > 0 {
            lines.append(language("- and \(rest) more in `logs/train.log`", "- 另有 \(rest) 条见 `logs/train.log`"))
        }
        return [language("## Warnings", "## 警告"), lines.joined(separator: "\n")]
    }

    /// A table of names and values.
    func pairs(_ rows: [[String]]) -> String {
        Markdown.table([.init(heading: language("Item", "项目")), .init(heading: language("Value", "值"))], rows)
    }
}
