// The languages of reports. Both wordings of a sentence stand side by side where it is used.

/// The language a report is written in.
public enum ReportLanguage: String, Codable, Sendable, CaseIterable {
    case en, zh

    /// The wording in this language.
    func callAsFunction(_ english: String, _ chinese: String) -> String {
        switch self {
        case .en: english
        case .zh: chinese
        }
    }
}
