// The head of the report: facts at a glance, the curve, the epochs, the validation; and how to go on after a stop.

import Foundation
import Runs

extension Report {
    /// What to do when the run did not reach its end.
    var resume: [String] {
        guard state != .done else { return [] }
        var text = ""
        switch state {
        case .failed:
            text = language(
                "Remove the cause first. Where that takes other settings and steps were already made, give the new run another `output_dir`. ",
                "请先排除原因;如果需要修改会影响结果的设置,并且已完成若干步,请为新的训练另选 `output_dir`。")
        case .running: text = language("If the run was killed, start it again. ", "如果进程已被终止,请重新启动。")
        case .interrupted, .done: break
        }
        if let checkpoint = history.lastCheckpoint {
            let path = Markdown.code(checkpoint.path)
            text += language(
                "The adapter of step \(checkpoint.step) is saved in \(path); the same command goes on from there:",
                "第 \(checkpoint.step) 步的适配器已保存在 \(path),用同一条命令从该处继续:")
        } else {
            text += language(
                "No checkpoint was saved; the same command starts again from the beginning:",
                "没有保存任何检查点,用同一条命令从头开始:")
        }
        return [text, Markdown.block(facts.command, "bash")]
    }

    /// The facts at a glance.
    var overview: [String] {
        let rows: [(String, String?)] = [
            (language("Base Model", "基础模型"), baseLine),
            (language("Training Data", "训练数据"), dataLine),
            (language("LoRA Rank", "LoRA 秩"), value("lora_rank")),
            ("LoRA Alpha", alphaLine),
            (language("Batch Size", "批大小"), batchLine),
            (language("Learning Rate", "学习率"), value("learning_rate").map(number)),
            (language("Epochs Completed", "完成轮数"), epochsLine),
            (language("Best Loss", "最佳损失"), isOfPictures ? bestEpochLine : bestLine(history.best)),
            (language("Best Validation Loss", "最佳验证损失"), history.bestValidation.map { bestLine($0) }),
            (language("Output Path", "输出文件"), outputLine),
            (language("Time", "用时"), facts.seconds > 0 ? Numbers.duration(facts.seconds, language) : nil),
            (
                language("Warnings", "警告"),
                warnings.isEmpty ? nil : language("\(warnings.count), see below", "\(warnings.count) 条,见下文")
            ),
        ]
        let colon = language(":", ":")
        return [
            rows.compactMap { name, text in text.map { "- **\(name)**\(colon)\(language(" ", ""))\($0)" } }.joined(
                separator: "\n")
        ]
    }

    private var baseLine: String? {
        guard let base = facts.base else { return value("base_model").map(Markdown.code) }
        let size = Numbers.count(base.parameters)
        var line = Markdown.escaped(base.name)
        line += language(
            " (\(Markdown.escaped(base.architecture)), \(size) weights, \(Markdown.escaped(base.storage)))",
            "(\(Markdown.escaped(base.architecture)),\(size) 个权重,\(Markdown.escaped(base.storage)))")
        if base.files.count == 1, let file = base.files.first {
            line += language(", ", ",") + "SHA-256 \(shortHash(file))"
        }
        return line
    }

    private var dataLine: String? {
        guard let data = facts.data else {
            return (value("metadata_path") ?? value("train_data_dir")).map(Markdown.code)
        }
        if let pictures = data.pictures { return line(data, pictures) }
        let share = data.tokens > 0 ? Numbers.percent(Double(data.supervisedTokens) / Double(data.tokens)) : "–"
        let (samples, tokens) = (Numbers.count(data.samples), Numbers.count(data.tokens))
        let format = Markdown.escaped(data.format)
        return language(
            "\(samples) samples, \(tokens) tokens, \(share) of them trained on (\(format))",
            "\(samples) 条样本,\(tokens) 个词元,其中 \(share) 参与训练(\(format))")
    }

    private var alphaLine: String? {
        let scale = facts.adapter.map { Numbers.short($0.scale, 4) }
        guard let alpha = value("lora_alpha") else {
            return scale.map { language("effective scale \($0)", "有效缩放 \($0)") }
        }
        let rule = value("use_rslora") == "true" ? "α/√r" : "α/r"
        return alpha + (scale.map { language(" (effective scale \(rule) = \($0))", "(有效缩放 \(rule) = \($0))") } ?? "")
    }

    private var batchLine: String? {
        guard let batch = value("batch_size") else { return nil }
        guard let size = Int(batch), let times = value("gradient_accumulation_steps").flatMap(Int.init), times > 1
        else {
            return batch
        }
        let (product, overflow) = size.multipliedReportingOverflow(by: times)
        let total = overflow ? "" : " = \(product)"
        return language("\(size) × \(times) accumulated\(total)", "\(size) × \(times) 次累积\(total)")
    }

    private var epochsLine: String {
        let (done, steps) = (Numbers.short(history.lastEpoch), Numbers.count(history.lastStep))
        if state == .done { return language("\(done) (\(steps) steps)", "\(done)(\(steps) 步)") }
        // Where the configuration counts steps, its epochs decide nothing.
        let epochs = value("max_steps") != nil ? "" : value("epochs").map { language(" of \($0)", " / \($0)") } ?? ""
        let total = facts.totalSteps.map { language(" of \(Numbers.count($0))", " / \(Numbers.count($0))") } ?? ""
        return language("\(done)\(epochs) (\(steps)\(total) steps)", "\(done)\(epochs)(\(steps)\(total) 步)")
    }

    /// For pictures, whose loss of a step says more of the noise that was drawn than of what was learnt.
    private var bestEpochLine: String {
        let epochs = history.epochs.filter(\.isComplete)
        let best = epochs.min { ($0.averageLoss ?? .infinity) < ($1.averageLoss ?? .infinity) }
        guard let best, let loss = best.averageLoss else { return bestLine(history.best) }
        return language(
            "\(Numbers.loss(loss)) (average of epoch \(best.number))", "\(Numbers.loss(loss))(第 \(best.number) 轮平均)")
    }

    private func bestLine(_ best: (step: Int, loss: Double)?) -> String {
        guard let best else { return language("none, no step with a loss was finished", "无,没有完成带损失的步") }
        return language(
            "\(Numbers.loss(best.loss)) (step \(best.step))", "\(Numbers.loss(best.loss))(第 \(best.step) 步)")
    }

    private var outputLine: String? {
        if let file = adapterFile {
            let detail = Numbers.bytes(file.bytes) + language(", ", ",") + "SHA-256 \(shortHash(file))"
            return language("\(Markdown.code(file.path)) (\(detail))", "\(Markdown.code(file.path))(\(detail))")
        }
        guard let checkpoint = history.lastCheckpoint else { return language("none yet", "尚无") }
        let path = Markdown.code(checkpoint.path)
        return language("\(path) (checkpoint of step \(checkpoint.step))", "\(path)(第 \(checkpoint.step) 步的检查点)")
    }

    /// The curve with its numbers in words.
    func curve(hasPicture: Bool) -> [String] {
        let heading = language("## Curve", "## 训练曲线")
        guard let chart = LossChart(history, language: language) else {
            return [heading, language("There is no curve: no step with a loss was finished.", "没有曲线:没有完成任何带损失的步。")]
        }
        let picture =
            hasPicture ? language("[PNG](logs/training_curve.png) · ", "[PNG](logs/training_curve.png) · ") : ""
        return [
            heading, "![\(Markdown.escaped(chart.summary))](logs/training_curve.svg)",
            picture
                + language(
                    "the numbers: [events.jsonl](events.jsonl) · TensorBoard: `tensorboard --logdir logs`",
                    "数据:[events.jsonl](events.jsonl) · TensorBoard:`tensorboard --logdir logs`"),
        ]
    }

    // MARK: - Tables

    /// One row for each epoch, and the rule behind the notes.
    var epochTable: [String] {
        guard !history.epochs.isEmpty else { return [] }
        let showsImages = history.epochs.contains { $0.imagesPerSecond != nil }
        let showsValidation = history.epochs.contains { $0.validationLoss != nil }
        var columns = [
            Markdown.Column(heading: language("Epoch", "轮"), isNumber: true),
            .init(heading: language("Average loss", "平均损失"), isNumber: true),
        ]
        if showsValidation { columns.append(.init(heading: language("Validation loss", "验证损失"), isNumber: true)) }
        columns += [
            .init(heading: language("Learning rate", "学习率"), isNumber: true),
            .init(heading: showsImages ? language("Images/s", "图/秒") : language("Tokens/s", "词元/秒"), isNumber: true),
            .init(heading: language("Memory", "内存"), isNumber: true), .init(heading: language("Note", "说明")),
        ]
        let stride = (history.epochs.count + 24) / 25, last = history.epochs.count - 1
        let kept = history.epochs.enumerated().filter { $0.offset % stride == 0 || $0.offset == last }.map(\.element)
        let rows = kept.map { epoch in
            var row = ["\(epoch.number)", text(epoch.averageLoss, Numbers.loss)]
            if showsValidation { row.append(text(epoch.validationLoss, Numbers.loss)) }
            return row + [
                text(epoch.learningRate, Numbers.scientific),
                text(showsImages ? epoch.imagesPerSecond : epoch.tokensPerSecond, Numbers.rate),
                text(epoch.memoryMib) { Numbers.memory(mib: $0) }, note(epoch),
            ]
        }
        let (shown, all) = (kept.count, history.epochs.count)
        let part = shown < all ? language(" \(shown) of \(all) epochs are shown.", "共 \(all) 轮,列出 \(shown) 轮。") : ""
        return [language("## Epochs", "## 各轮"), Markdown.table(columns, rows), epochRule + part]
    }

    private var epochRule: String {
        let columns = language(
            "Average loss: the mean over the epoch's steps. Learning rate: at its last step. Memory: the highest.",
            "平均损失:该轮各步的均值。学习率:该轮最后一步。内存:该轮最高值。")
        if isOfPictures {
            return columns
                + language(
                    " The loss of a step depends mostly on how much noise was drawn; look at the curve as a whole, the"
                        + " validation loss and the pictures.",
                    "单步损失主要取决于抽到的噪声强度;请看整条曲线、验证损失和样例图片。")
        }
        return columns
            + language(
                " Note: the average loss against the epoch before: *falling* by 10 % or more, *converging* by 2 to 10 %,"
                    + " *flat* within 2 %, *rising* by 2 % or more.",
                "说明:与上一轮平均损失相比,下降 10 % 以上为“下降”,下降 2 % 至 10 % 为“收敛”,变化不到 2 % 为“平稳”,"
                    + "上升 2 % 以上为“上升”。")
    }

    private var isOfPictures: Bool { facts.data?.pictures != nil }

    private func note(_ epoch: EpochSummary) -> String {
        guard epoch.isComplete else { return language("incomplete (\(epoch.steps) steps)", "未完成(\(epoch.steps) 步)") }
        if isOfPictures { return "" }
        switch epoch.trend {
        case .first: return language("start", "起点")
        case .falling: return language("falling", "下降")
        case .converging: return language("converging", "收敛")
        case .flat: return language("flat", "平稳")
        case .rising: return language("rising", "上升")
        case nil: return "–"
        }
    }

    /// The validation losses by step, if there was any; the table has at most 20 rows.
    var validationTable: [String] {
        let checks = history.validations
        guard !checks.isEmpty else { return [] }
        let stride = (checks.count + 19) / 20
        let best = history.bestValidation?.step
        let kept = checks.enumerated().filter { index, check in
            index % stride == 0 || index == checks.count - 1 || check.step == best
        }.map(\.element)
        let rows = kept.map { check in
            [
                "\(check.step)", Numbers.short(check.epoch), text(check.loss, Numbers.loss),
                check.step == best ? language("lowest", "最低") : "",
            ]
        }
        let columns = [
            Markdown.Column(heading: language("Step", "步"), isNumber: true),
            .init(heading: language("Epoch", "轮"), isNumber: true),
            .init(heading: language("Validation loss", "验证损失"), isNumber: true), .init(heading: ""),
        ]
        var parts = [language("## Validation", "## 验证"), Markdown.table(columns, rows)]
        if kept.count < checks.count {
            let (shown, all) = (kept.count, checks.count)
            parts.append(language("\(shown) of \(all) validations are shown.", "共 \(all) 次验证,列出 \(shown) 次。"))
        }
        return parts
    }

    // MARK: - Words

    func text(_ value: Double?, _ format: (Double) -> String) -> String { value.map(format) ?? "–" }

    func shortHash(_ file: FileFact) -> String { "`\(file.sha256.prefix(12))…`" }

    /// `2e-4` for `0.0002`; what is no number stays.
    private func number(_ value: String) -> String {
        Double(value).map(Numbers.scientific) ?? Markdown.escaped(value)
    }

    /// The adapter among the outputs.
    var adapterFile: FileFact? { facts.outputs.first { $0.path.hasSuffix(".safetensors") } }
}
