// The date that `strftime_now` writes. It is fixed, so that the same data gives the same tokens on any day.

/// A moment in UTC, and how `strftime` writes it.
public struct TemplateClock: Sendable, Equatable {
    /// Seconds since 1970-01-01 00:00 UTC.
    public let seconds: Int

    /// A clock that stands at `seconds` since 1970.
    public init(seconds: Int) {
        self.seconds = max(-62_135_596_800, min(seconds, 253_402_300_799))
    }

    /// 26 July 2024, the date that the LLaMA 3 templates write where there is no clock.
    public static let standard = TemplateClock(seconds: 1_721_952_000)

    /// Year, month and day by the algorithm of https://howardhinnant.github.io/date_algorithms.html#civil_from_days
    private var date: (year: Int, month: Int, day: Int) {
        let days = Int((Double(seconds) / 86_400).rounded(.down)) + 719_468
        let era = (days >= 0 ? days : days - 146_096) / 146_097
        let dayOfEra = days - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shifted = (5 * dayOfYear + 2) / 153
        let month = shifted < 10 ? shifted + 3 : shifted - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shifted + 2) / 5 + 1)
    }

    /// The moment in the words of `format` (`%d %b %Y`); unknown letters stay as they are.
    func text(_ format: String) -> String {
        var result = ""
        var scalars = format.unicodeScalars.makeIterator()
        while let scalar = scalars.next() {
            guard scalar == "%", var letter = scalars.next() else {
                result.unicodeScalars.append(scalar)
                continue
            }
            let isBare = letter == "-"
            if isBare, let following = scalars.next() { letter = following }
            result += field(letter, isBare: isBare) ?? "%\(isBare ? "-" : "")\(letter)"
        }
        return result
    }

    private func field(_ letter: Unicode.Scalar, isBare: Bool) -> String? {
        func padded(_ value: Int, _ width: Int = 2) -> String {
            let digits = String(value)
            return isBare ? digits : String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        let months = [
            "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
            "November", "December",
        ]
        let weekdays = ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"]
        let (year, month, day) = date
        let dayNumber = Int((Double(seconds) / 86_400).rounded(.down))
        let second = seconds - dayNumber * 86_400
        let weekday = weekdays[((dayNumber % 7) + 7) % 7]
        let hour = second / 3600
        switch letter {
        case "Y": return String(year)
        case "y": return padded(year % 100)
        case "m": return padded(month)
        case "d": return padded(day)
        case "B": return months[month - 1]
        case "b", "h": return String(months[month - 1].prefix(3))
        case "A": return weekday
        case "a": return String(weekday.prefix(3))
        case "H": return padded(hour)
        case "I": return padded((hour + 11) % 12 + 1)
        case "p": return hour < 12 ? "AM" : "PM"
        case "M": return padded(second / 60 % 60)
        case "S": return padded(second % 60)
        case "F": return "\(year)-\(TemplateClock.two(month))-\(TemplateClock.two(day))"
        case "%": return "%"
        default: return nil
        }
    }

    private static func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
}
