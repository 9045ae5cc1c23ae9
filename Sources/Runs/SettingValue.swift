// The kinds of values that a setting may have: how each is read from YAML and written back.

/// A kind of value: numbers, words, choices, lists.
protocol SettingValue: Sendable, Equatable {
    /// The value, or nil where it is of another kind.
    static func read(_ value: LocatedValue) -> Self?
    /// What is expected, as in `expected a whole number`.
    static var noun: String { get }
    /// As in YAML; nil where there is no value.
    var written: String? { get }
    /// What a range is held against.
    var number: Double? { get }
}

extension SettingValue {
    var number: Double? { nil }
}

extension LocatedValue {
    /// The text of a scalar without quotes, which may be a number.
    var plain: String? {
        if case .scalar(let text, isPlain: true) = content { return text }
        return nil
    }

    /// The text of any scalar.
    var text: String? {
        if case .scalar(let text, _) = content { return text }
        return nil
    }
}

// MARK: - Numbers, as YAML 1.2's core schema writes them

extension Int: SettingValue {
    static let noun = "a whole number"
    static func read(_ value: LocatedValue) -> Int? {
        guard let text = value.plain else { return nil }
        if let decimal = text.wholeMatch(of: /[-+]?[0-9]+/) { return Int(decimal.output) }
        guard let number = Double.read(value), abs(number) < 0x1p53, number == number.rounded() else { return nil }
        return Int(number)
    }
    var written: String? { String(self) }
    var number: Double? { Double(self) }
}

extension Double: SettingValue {
    static let noun = "a number"
    static func read(_ value: LocatedValue) -> Double? {
        guard let text = value.plain, text.utf8.count <= 64 else { return nil }
        guard text.wholeMatch(of: /[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?/) != nil else { return nil }
        return Double(text)
    }
    /// The shortest digits that read back as the same number: `2e-4`, `0.9`, `16`.
    var written: String? {
        if self == 0 { return "0" }
        if abs(self) < 1e15, self == rounded() { return String(Int(self)) }
        return abs(self) < 0.01 ? scientific : "\(self)"
    }
    var number: Double? { self }

    /// `0.00015` as `1.5e-4`.
    private var scientific: String {
        let parts = "\(magnitude)".lowercased().split(separator: "e")
        let whole = parts[0].split(separator: ".")
        let digits = whole.joined()
        let significant = digits.drop { $0 == "0" }
        let leadingZeros = digits.count - significant.count
        let pointAt = (whole.first?.count ?? 1) + (parts.count > 1 ? Int(parts[1]) ?? 0 : 0)
        let trimmed = significant.reversed().drop { $0 == "0" }.reversed()
        let fraction = trimmed.dropFirst()
        let mantissa = String(trimmed.prefix(1)) + (fraction.isEmpty ? "" : "." + String(fraction))
        return (self < 0 ? "-" : "") + mantissa + "e\(pointAt - leadingZeros - 1)"
    }
}

// MARK: - Words

extension Bool: SettingValue {
    static let noun = "true or false"
    static func read(_ value: LocatedValue) -> Bool? {
        switch value.plain?.lowercased() {
        case "true", "yes", "on": true
        case "false", "no", "off": false
        default: nil
        }
    }
    var written: String? { self ? "true" : "false" }
}

extension String: SettingValue {
    static let noun = "text"
    static func read(_ value: LocatedValue) -> String? { value.text }
    var written: String? { yamlText }
}

extension Optional: SettingValue where Wrapped: SettingValue {
    static var noun: String { Wrapped.noun }
    static func read(_ value: LocatedValue) -> Wrapped?? {
        guard let wrapped = Wrapped.read(value) else { return nil }
        return .some(.some(wrapped))
    }
    var written: String? { self?.written }
    var number: Double? { self?.number }
}

/// One of a few words.
protocol SettingChoice: SettingValue, RawRepresentable, CaseIterable where RawValue == String {}

extension SettingChoice {
    static var noun: String { "one of " + allCases.map(\.rawValue).joined(separator: ", ") }
    static func read(_ value: LocatedValue) -> Self? { value.text.flatMap { Self(rawValue: $0.lowercased()) } }
    var written: String? { rawValue }
}

extension TaskType: SettingChoice {}
extension MaxLengthPolicy: SettingChoice {}
extension ScheduleKind: SettingChoice {}
extension ReportLanguage: SettingChoice {}

extension MixedPrecision: SettingChoice {
    /// `no` is a word in YAML 1.2 and false in YAML 1.1.
    static func read(_ value: LocatedValue) -> MixedPrecision? {
        if Bool.read(value) == false { return MixedPrecision.none }
        return value.text.flatMap { MixedPrecision(rawValue: $0.lowercased()) }
    }
}

extension DeviceChoice: SettingValue {
    static let noun = "auto, cpu, cuda, cuda:0 or mps"
    static func read(_ value: LocatedValue) -> DeviceChoice? {
        switch value.text {
        case "auto": return .auto
        case "cpu": return .cpu
        case "mps": return .mps
        case "cuda": return .cuda(index: nil)
        case let text?:
            guard let match = text.wholeMatch(of: /cuda:([0-9]{1,4})/) else { return nil }
            return Int(match.1).map { .cuda(index: $0) }
        case nil: return nil
        }
    }
    var written: String? {
        switch self {
        case .auto: "auto"
        case .cpu: "cpu"
        case .mps: "mps"
        case .cuda(nil): "cuda"
        case .cuda(let index?): "cuda:\(index)"
        }
    }
}

// MARK: - Lists

/// A value that lists are made of.
protocol SettingItem: SettingValue {
    /// As in `expected a list of numbers`.
    static var listNoun: String { get }
}

extension String: SettingItem { static let listNoun = "a list of texts, or one text" }
extension Double: SettingItem { static let listNoun = "a list of numbers, or one number" }

extension Array: SettingValue where Element: SettingItem {
    static var noun: String { Element.listNoun }
    static func read(_ value: LocatedValue) -> [Element]? {
        guard case .list(let items) = value.content else { return Element.read(value).map { [$0] } }
        let values = items.compactMap(Element.read)
        return values.count == items.count ? values : nil
    }
    var written: String? { isEmpty ? nil : "[" + compactMap(\.written).joined(separator: ", ") + "]" }
}

extension String {
    /// As a YAML scalar that reads back as this text: plain where nothing can be mistaken, else in double quotes.
    var yamlText: String {
        let isWord = wholeMatch(of: /[A-Za-z_.\/][A-Za-z0-9_.\/+-]*/) != nil
        let plain = LocatedValue(content: .scalar(self, isPlain: true), position: nil)
        let isTaken = Bool.read(plain) != nil || Double.read(plain) != nil || lowercased() == "null" || hasPrefix("...")
        if isWord, !isTaken, !lowercased().hasPrefix(".inf"), !lowercased().hasPrefix(".nan") { return self }
        return "\"" + unicodeScalars.map(Self.escaped).joined() + "\""
    }

    private static func escaped(_ scalar: Unicode.Scalar) -> String {
        switch scalar {
        case "\"": "\\\""
        case "\\": "\\\\"
        case "\n": "\\n"
        case "\t": "\\t"
        case "\r": "\\r"
        case " "..."~", "\u{A0}"..."\u{2027}", "\u{202A}"..."\u{D7FF}", "\u{E000}"..."\u{FEFE}",
            "\u{FF00}"..."\u{FFFD}",
            "\u{10000}"..."\u{10FFFF}":
            String(Character(scalar))
        default: "\\u" + String(repeating: "0", count: 4 - hex(scalar).count) + hex(scalar)
        }
    }

    private static func hex(_ scalar: Unicode.Scalar) -> String { String(scalar.value, radix: 16, uppercase: true) }
}
