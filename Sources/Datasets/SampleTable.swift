// Shows one sample token by token.

/// A sample as a table of tokens, ids and whether each is trained.
struct SampleTable {
    let sample: Sample
    let tokenizer: any TextTokenizer
    /// Rows shown; longer samples are elided in the middle.
    let limit: Int

    var text: String {
        let count = sample.tokens.count
        let shown = limit < count ? Array(0..<(limit + 1) / 2) + Array(count - limit / 2..<count) : Array(0..<count)
        let rows = shown.map { index in
            (index, Self.printable(spelling(index)), String(sample.tokens[index]), sample.isTrained[index])
        }
        let width = max(5, rows.map { $0.1.unicodeScalars.count }.max() ?? 0)
        var lines = [
            "\(sample.source.file):\(sample.source.line): \(count) tokens, \(sample.trainedCount) trained",
            "  " + pad("token", width) + "  " + pad("id", 7, right: true) + "  trained",
        ]
        var previous = -1
        for (index, spelling, id, isTrained) in rows {
            if index != previous + 1 { lines.append(elision(previous + 1..<index)) }
            let row = "  " + pad(spelling, width) + "  " + pad(id, 7, right: true) + "  " + (isTrained ? "yes" : "-")
            lines.append(row)
            previous = index
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private func elision(_ range: Range<Int>) -> String {
        let trained = sample.isTrained[range].reduce(0) { $0 + ($1 ? 1 : 0) }
        return "  … \(range.count) tokens, \(trained) trained …"
    }

    private func spelling(_ index: Int) -> String {
        let id = Int(sample.tokens[index])
        let text = tokenizer.decode([id], skippingSpecialTokens: false)
        // A token can be a part of a character; then the vocabulary's spelling says more.
        return text.unicodeScalars.contains("\u{FFFD}") || text.isEmpty ? tokenizer.token(id) ?? "?" : text
    }

    private func pad(_ text: String, _ width: Int, right: Bool = false) -> String {
        let space = String(repeating: " ", count: max(0, width - text.unicodeScalars.count))
        return right ? space + text : text + space
    }

    /// The text with spaces and control characters made visible, at most 40 characters.
    private static func printable(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars.prefix(40) {
            switch scalar {
            case "\n": result += "⏎"
            case "\t": result += "⇥"
            case " ": result += "·"
            case let scalar where scalar.properties.generalCategory == .control || scalar.value == 0xFEFF:
                result += "\\u{\(String(scalar.value, radix: 16))}"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
