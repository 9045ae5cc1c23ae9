// The languages of reports. Both wordings of a sentence stand side by side where it is used.

import Runs

extension ReportLanguage {
    /// The wording in this language.
    func callAsFunction(_ english: String, _ chinese: String) -> String {
        switch self {
        case .en: english
        case .zh: chinese
        }
    }
}
