// A linear scale with round ticks for an axis of a chart.

import Foundation

/// Maps values to places along an axis.
struct ChartScale: Sendable {
    let lower: Double
    let upper: Double
    /// Round numbers between the ends, which are ticks themselves unless the scale is tight.
    let ticks: [Double]

    /// The scale that holds the values, with about `count` steps of 1, 2, 2.5 or 5 times a power of ten.
    /// Paul Heckbert, "Nice numbers for graph labels", Graphics Gems (1990).
    ///
    /// - Parameter isTight: the scale ends at `high` itself, and ticks are whole numbers: for counts such as steps.
    init(_ low: Double, _ high: Double, count: Int, isTight: Bool = false) {
        let (low, high) = Self.sound(low, high)
        let nice = Self.niceStep((high - low) / Double(max(1, count)))
        let step = isTight ? max(1, nice.rounded(.up)) : nice
        let first = (low / step + 1e-9).rounded(.down)
        let last = (high / step - 1e-9).rounded(.up)
        let number = min(100, max(1, Numbers.integer(last - first)))
        let all = (0...number).map { (first + Double($0)) * step }
        ticks = isTight ? all.filter { $0 <= high } : all
        (lower, upper) = (first * step, isTight ? high : (first + Double(number)) * step)
    }

    /// The place of a value between two ends.
    func place(_ value: Double, from start: Double, to end: Double) -> Double {
        start + (value - lower) / (upper - lower) * (end - start)
    }

    /// A tick in as few digits as tell it from the next.
    func label(_ tick: Double) -> String {
        guard ticks.count > 1 else { return Numbers.short(tick, 4) }
        let step = ticks[1] - ticks[0]
        let size = max(abs(lower), abs(upper))
        if size < 0.01 || size >= 1e7 { return Numbers.scientific(abs(tick) < step / 2 ? 0 : tick) }
        let digits =
            (0...6).first { abs((step * pow(10, Double($0))).rounded() - step * pow(10, Double($0))) < 1e-6 } ?? 6
        let text = Numbers.fixed(abs(tick) < step / 2 ? 0 : tick, digits)
        return digits == 0 ? Numbers.count(Numbers.integer(tick.rounded())) : text
    }

    /// Ends that differ and are numbers a scale can be made of.
    private static func sound(_ low: Double, _ high: Double) -> (Double, Double) {
        guard low.isFinite, high.isFinite, abs(low) < 1e100, abs(high) < 1e100 else { return (0, 1) }
        guard high - low > max(abs(low), abs(high)) * 1e-9 else {
            return low == 0 ? (0, 1) : (min(low * 0.9, low * 1.1), max(high * 0.9, high * 1.1))
        }
        return (low, high)
    }

    private static func niceStep(_ raw: Double) -> Double {
        let power = pow(10, log10(raw).rounded(.down))
        let fraction = raw / power
        return ([1, 2, 2.5, 5, 10].first { fraction <= $0 * 1.0001 } ?? 10) * power
    }
}
