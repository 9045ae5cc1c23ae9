// The `tojson` filter as transformers defines it: `json.dumps` without escaping of non-ASCII characters.

extension TemplateEvaluator {
    func json(_ value: TemplateValue, _ call: TemplateCall) throws -> String {
        var writer = TemplateJSONWriter()
        if let indent = call.argument(0, "indent"), case .integer(let width) = indent {
            writer.indent = String(repeating: " ", count: max(0, min(width, 100)))
            writer.itemSeparator = ","
        }
        if case .list(let separators)? = call.named["separators"], separators.count == 2 {
            (writer.itemSeparator, writer.keySeparator) = (separators[0].printed, separators[1].printed)
        }
        writer.isASCII = call.named["ensure_ascii"]?.isTrue ?? false
        writer.sortsKeys = call.named["sort_keys"]?.isTrue ?? false
        try writer.write(value, call)
        return writer.text
    }
}

/// Writes a value as JSON.
struct TemplateJSONWriter {
    var text = ""
    var indent: String?
    var itemSeparator = ", "
    var keySeparator = ": "
    var isASCII = false
    var sortsKeys = false
    private var depth = 0

    mutating func write(_ value: TemplateValue, _ call: TemplateCall) throws {
        switch value {
        case .none: text += "null"
        case .bool(let value): text += value ? "true" : "false"
        case .integer, .double: text += value.printed
        case .string(let string): write(string)
        case .list(let items):
            try container("[", "]", count: items.count) { writer, index in try writer.write(items[index], call) }
        case .map(let map):
            let pairs = sortsKeys ? map.pairs.sorted { $0.key < $1.key } : map.pairs
            try container("{", "}", count: pairs.count) { writer, index in
                writer.write(pairs[index].key)
                writer.text += writer.keySeparator
                try writer.write(pairs[index].value, call)
            }
        default: throw call.error("'tojson' cannot write \(value.kind)")
        }
    }

    private mutating func container(
        _ open: String, _ close: String, count: Int, _ item: (inout Self, Int) throws -> Void
    ) throws {
        text += open
        depth += 1
        for index in 0..<count {
            if index > 0 { text += itemSeparator }
            breakLine()
            try item(&self, index)
        }
        depth -= 1
        if count > 0 { breakLine() }
        text += close
    }

    private mutating func breakLine() {
        guard let indent else { return }
        text += "\n" + String(repeating: indent, count: depth)
    }

    private mutating func write(_ string: String) {
        text += "\""
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case "\u{8}": text += "\\b"
            case "\u{C}": text += "\\f"
            case let scalar where scalar.value < 32 || (isASCII && scalar.value > 126):
                for unit in String(scalar).utf16 {
                    let digits = String(unit, radix: 16)
                    text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
                }
            default: text.unicodeScalars.append(scalar)
            }
        }
        text += "\""
    }
}
