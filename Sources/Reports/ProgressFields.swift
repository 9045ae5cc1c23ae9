// The fields of a progress line, and how they fit into a width.

import Runs

/// What a progress line tells.
struct ProgressFields {
    private let share: Double?
    private let step: String
    /// From the most to the least wanted.
    private let fields: [String]
    private let epoch: String

    init(
        _ event: TrainingEvent, total: Int?, loss: Double?, secondsLeft: Double?, _ language: ReportLanguage
    ) {
        share = total.map { $0 > 0 ? min(1, max(0, Double(event.step) / Double($0))) : 1 }
        let digits = total.map { String($0).count } ?? 1
        let number = String(event.step)
        let padded = String(repeating: " ", count: max(0, digits - number.count)) + number
        step = language("step ", "第 ") + padded + (total.map { "/\($0)" } ?? "") + language("", " 步")
        epoch = language("epoch ", "轮 ") + Numbers.fixed(event.epoch, 2)
        let tokens = event.tokensPerSecond.map { Numbers.rate($0) + language(" tok/s", " 词元/秒") }
        let images = event.imagesPerSecond.map { Numbers.rate($0) + language(" img/s", " 图/秒") }
        fields = [
            loss.map { language("loss ", "损失 ") + Numbers.loss($0) },
            secondsLeft.map { Numbers.clock($0) + language(" left", " 剩余") },
            tokens ?? images,
            event.learningRate.map { language("lr ", "学习率 ") + Numbers.scientific($0) },
            event.memoryMib.map { Numbers.memory(mib: $0) },
        ].compactMap { $0 }
    }

    /// A line of its own in a log.
    var plain: String { ([step, epoch] + fields).joined(separator: " · ") }

    /// At most so many columns: the step first, then as many fields as fit, then the bar if there is room for one.
    func line(columns: Int) -> String {
        var line = step
        for field in fields {
            let longer = "\(line)  \(field)"
            if Self.width(longer) <= columns { line = longer } else { break }
        }
        let room = min(30, columns - Self.width(line) - 2)
        if let share, room >= 8 { return "\(Self.bar(share, width: room))  \(line)" }
        while Self.width(line) > columns, !line.isEmpty { line.removeLast() }
        return line
    }

    /// Chinese characters take two columns.
    static func width(_ text: String) -> Int {
        text.unicodeScalars.reduce(0) { $0 + ($1.value >= 0x2e80 && $1.value < 0xfff0 ? 2 : 1) }
    }

    private static func bar(_ share: Double, width: Int) -> String {
        let eighths = Numbers.integer((share * Double(width * 8)).rounded())
        let parts = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"]
        let full = String(repeating: "█", count: eighths / 8) + parts[eighths % 8]
        return full + String(repeating: "░", count: max(0, width - full.count))
    }
}
