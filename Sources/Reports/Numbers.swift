// Numbers as reports, charts and progress lines show them; the same on every machine, whatever its locale.

import Foundation
import Runs

/// Numbers written for people.
enum Numbers {
    /// `1.234`, `0.0321`, `3.2e-5`.
    static func loss(_ value: Double) -> String {
        guard value.isFinite else { return notFinite(value) }
        let size = abs(value)
        if size >= 100 { return fixed(value, 1) }
        if size >= 1 { return fixed(value, 3) }
        if size >= 0.001 || size == 0 { return fixed(value, 4) }
        return scientific(value)
    }

    /// `2e-4`, `1.84e-4`.
    static func scientific(_ value: Double) -> String {
        guard value.isFinite else { return notFinite(value) }
        guard value != 0 else { return "0" }
        let parts = String(format: "%.2e", value).split(separator: "e")
        guard parts.count == 2, let exponent = Int(parts[1]) else { return String(value) }
        let digits = trimmed(String(parts[0]))
        return "\(digits)e\(exponent)"
    }

    /// `1,234,567`.
    static func count(_ value: Int) -> String {
        let digits = Array(String(value.magnitude))
        var text = value < 0 ? "-" : ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index) % 3 == 0 { text.append(",") }
            text.append(digit)
        }
        return text
    }

    /// `1,234` or, below 100, one decimal.
    static func rate(_ value: Double) -> String {
        value < 99.95 ? fixed(value, 1) : count(integer(value.rounded()))
    }

    /// `812 B`, `1.8 MiB`.
    static func bytes(_ value: Int) -> String {
        value < 1024 ? "\(value) B" : binary(Double(value) / 1024, units: ["KiB", "MiB", "GiB", "TiB"])
    }

    /// `512 MiB`, `1.4 GiB`.
    static func memory(mib: Double) -> String { binary(mib, units: ["MiB", "GiB", "TiB"]) }

    /// `12.3 %`, `0.34 %`.
    static func percent(_ share: Double) -> String {
        let value = share * 100
        guard value.isFinite else { return notFinite(value) }
        return trimmed(fixed(value, abs(value) < 1 ? 2 : 1)) + " %"
    }

    /// `2`, `0.83`: at most `digits` decimals, none that are zero.
    static func short(_ value: Double, _ digits: Int = 2) -> String { trimmed(fixed(value, digits)) }

    /// `45 s`, `2 min 31 s`, `1 h 4 min`.
    static func duration(_ seconds: Double, _ language: ReportLanguage) -> String {
        if seconds < 10 { return fixed(max(0, seconds), 1) + language(" s", " 秒") }
        let total = integer(seconds.rounded())
        let (hours, minutes, rest) = (total / 3600, total / 60 % 60, total % 60)
        if hours > 0 { return language("\(count(hours)) h \(minutes) min", "\(count(hours)) 小时 \(minutes) 分") }
        if minutes > 0 { return language("\(minutes) min \(rest) s", "\(minutes) 分 \(rest) 秒") }
        return language("\(rest) s", "\(rest) 秒")
    }

    /// `0:45`, `2:31`, `1:04:05`.
    static func clock(_ seconds: Double) -> String {
        let total = max(0, integer(seconds.rounded()))
        let rest = padded(total % 60)
        return total < 3600 ? "\(total / 60):\(rest)" : "\(total / 3600):\(padded(total / 60 % 60)):\(rest)"
    }

    /// A fixed number of decimals.
    static func fixed(_ value: Double, _ digits: Int) -> String {
        value.isFinite ? String(format: "%.\(digits)f", value) : notFinite(value)
    }

    /// Numbers from files may be anything: what does not fit is clamped.
    static func integer(_ value: Double) -> Int {
        guard !value.isNaN else { return 0 }
        return Int(max(-1e15, min(1e15, value)))
    }

    private static func binary(_ value: Double, units: [String]) -> String {
        var (rest, unit) = (value, 0)
        while rest >= 1023.5, unit < units.count - 1 { (rest, unit) = (rest / 1024, unit + 1) }
        return (rest < 10 ? trimmed(fixed(rest, 1)) : fixed(rest, 0)) + " " + units[unit]
    }

    private static func trimmed(_ digits: String) -> String {
        guard digits.contains(".") else { return digits }
        var text = digits
        while text.hasSuffix("0") { text.removeLast() }
        if text.hasSuffix(".") { text.removeLast() }
        return text == "-0" ? "0" : text
    }

    private static func padded(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }

    private static func notFinite(_ value: Double) -> String {
        value.isNaN ? "NaN" : value < 0 ? "-∞" : "∞"
    }
}
