// The first sentence of a report: how the run ended and what its losses did. It says nothing the events do not show.

import Foundation
import Runs

/// The sentence, from the facts and the events.
struct Verdict {
    let language: ReportLanguage
    let facts: RunFacts
    let history: RunHistory
    let state: RunState

    /// A word in bold and the sentence.
    var text: String {
        switch state {
        case .done: return done
        case .interrupted:
            return language("**Interrupted** \(place)\(losses).", "**已中断**,\(place)\(losses)。")
        case .failed(let reason):
            let reason = Markdown.escaped(reason.isEmpty ? language("no reason was recorded", "未记录原因") : reason)
            return language("**Failed** \(place): \(reason)", "**失败**,\(place):\(reason)")
        case .running:
            return language(
                "**No end recorded** \(place): the run was still going when this was written, or was killed.",
                "**没有结束记录**,\(place):写此报告时仍在运行,或进程已被终止。")
        }
    }

    private var done: String {
        let (step, epoch) = (Numbers.count(history.lastStep), Numbers.short(history.lastEpoch))
        let time = facts.seconds > 0 ? Numbers.duration(facts.seconds, language) : nil
        return language(
            "**Done.** \(step) steps (\(epoch) epochs)\(time.map { " in \($0)" } ?? "")\(losses).",
            "**已完成。** 共训练 \(step) 步(\(epoch) 轮)\(time.map { ",用时 \($0)" } ?? "")\(losses)。")
    }

    /// Where the run stands.
    private var place: String {
        guard history.lastStep > 0 else { return language("before the first step was finished", "尚未完成第一步") }
        let step = Numbers.count(history.lastStep)
        guard let total = facts.totalSteps.map(Numbers.count) else {
            return language("after step \(step)", "停在第 \(step) 步")
        }
        return language("after step \(step) of \(total)", "停在第 \(step) 步(共 \(total) 步)")
    }

    /// What the losses did, as clauses that continue the sentence.
    private var losses: String { [trainingClause, validationClause].compactMap { $0 }.joined() }

    private var trainingClause: String? {
        if history.steps.isEmpty {
            return language("; no step was finished, so there is no loss to show", ";没有完成任何一步,因此没有损失可看")
        }
        let complete = history.epochs.filter(\.isComplete)
        if complete.count >= 2, let from = complete.first, let to = complete.last, let first = from.averageLoss,
            let last = to.averageLoss
        {
            let (start, end) = (
                language("epoch \(from.number)", "第 \(from.number) 轮"),
                language("epoch \(to.number)", "第 \(to.number) 轮")
            )
            return clause(language("the average loss of an epoch", "每轮平均损失"), (first, start), (last, end))
        }
        let losses = history.steps.compactMap(\.loss).filter(\.isFinite)
        let tenth = losses.count / 10
        guard tenth >= 2 else {
            return language(
                "; \(losses.count) steps with a loss are too few to say where it goes",
                ";只有 \(losses.count) 步有损失,不足以判断走势")
        }
        let first = losses.prefix(tenth).reduce(0, +) / Double(tenth)
        let last = losses.suffix(tenth).reduce(0, +) / Double(tenth)
        let (start, end) = (language("first tenth of the steps", "前十分之一"), language("last tenth", "后十分之一"))
        return clause(language("the average loss", "平均损失"), (first, start), (last, end))
    }

    private var validationClause: String? {
        let checked = history.validations.filter { $0.loss?.isFinite ?? false }
        guard checked.count >= 2, let first = checked.first, let last = checked.last, let from = first.loss,
            let to = last.loss, let best = history.bestValidation
        else { return nil }
        if best.step != last.step, to > best.loss * 1.02 {
            let excess = Numbers.percent(to / best.loss - 1)
            return language(
                "; the validation loss was lowest at step \(best.step) (\(Numbers.loss(best.loss))) and ended \(excess)"
                    + " above that, a sign of overfitting",
                ";验证损失在第 \(best.step) 步最低(\(Numbers.loss(best.loss))),结束时比它高 \(excess),这是过拟合的迹象")
        }
        let (start, end) = (
            language("step \(first.step)", "第 \(first.step) 步"), language("step \(last.step)", "第 \(last.step) 步")
        )
        return clause(language("the validation loss", "验证损失"), (from, start), (to, end))
    }

    private func clause(_ what: String, _ from: (Double, String), _ to: (Double, String)) -> String {
        let (first, last) = (Numbers.loss(from.0), Numbers.loss(to.0))
        switch EpochSummary.trend(from: from.0, to: to.0) {
        case .falling, .converging, .first:
            return language(
                "; \(what) fell from \(first) (\(from.1)) to \(last) (\(to.1))",
                ";\(what)从 \(first)(\(from.1))降到 \(last)(\(to.1))")
        case .rising:
            return language(
                "; \(what) rose from \(first) (\(from.1)) to \(last) (\(to.1))",
                ";\(what)从 \(first)(\(from.1))升到 \(last)(\(to.1))")
        case .flat:
            return language(
                "; \(what) hardly changed: \(first) (\(from.1)), \(last) (\(to.1))",
                ";\(what)几乎没有变化:\(first)(\(from.1)),\(last)(\(to.1))")
        }
    }
}
