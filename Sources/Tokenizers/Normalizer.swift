// The stage of `tokenizer.json` that rewrites a text before it is cut.
// Port of https://github.com/huggingface/tokenizers/tree/main/tokenizers/src/normalizers

import Foundation

/// Rewrites a text, step by step.
struct Normalizer: Sendable, Equatable {
    /// One step.
    enum Step: Sendable, Equatable {
        /// Unicode's canonical composition.
        case composition
        case prepending([UInt8])
        case replacing([UInt8], with: [UInt8])
        /// Each run of white space becomes this.
        case replacingSpaces(with: [UInt8])
        /// Every character by itself, so that a sigma at a word's end stays σ.
        case lowercasing
    }

    var steps: [Step]

    /// The rewritten text; nil when nothing changes.
    func normalized(_ text: UnsafeBufferPointer<UInt8>) -> [UInt8]? {
        var result: [UInt8]?
        for step in steps {
            let changed = result?.withUnsafeBufferPointer { Self.apply(step, to: $0) } ?? Self.apply(step, to: text)
            if let changed { result = changed }
        }
        return result
    }

    /// The rewritten text.
    func normalized(_ text: [UInt8]) -> [UInt8] { text.withUnsafeBufferPointer { normalized($0) } ?? text }

    private static func apply(_ step: Step, to text: UnsafeBufferPointer<UInt8>) -> [UInt8]? {
        switch step {
        case .composition: composed(text)
        case .prepending(let prefix): text.isEmpty ? nil : prefix + text
        case .replacing(let old, let new): replaced(old, with: new, in: text)
        case .replacingSpaces(let new): replacedSpaces(with: new, in: text)
        case .lowercasing: lowercased(text)
        }
    }

    private static func composed(_ text: UnsafeBufferPointer<UInt8>) -> [UInt8]? {
        // Below U+0300 (lead byte 0xCC) every text is composed already.
        guard text.contains(where: { $0 >= 0xCC }) else { return nil }
        let string = String(decoding: text, as: UTF8.self)
        if string.unicodeScalars.allSatisfy(isSurelyComposed) { return nil }
        return Array(string.precomposedStringWithCanonicalMapping.utf8)
    }

    /// Whether the scalar is in a block where nothing composes or decomposes; false when unsure.
    private static func isSurelyComposed(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0...0x2FF, 0x400...0x482, 0x48A...0x52F, 0xE01...0xE30, 0x2010...0x2027, 0x2030...0x205E, 0x3001...0x3029,
            0x3030...0x3098, 0x309B...0x30FF, 0x3400...0x4DBF, 0x4E00...0x9FFF, 0xAC00...0xD7A3, 0xFF01...0xFF9D,
            0x1F300...0x1FAFF:
            true
        default: false
        }
    }

    private static func replaced(_ old: [UInt8], with new: [UInt8], in text: UnsafeBufferPointer<UInt8>) -> [UInt8]? {
        guard let first = old.first, text.contains(first) else { return nil }
        var result: [UInt8] = []
        result.reserveCapacity(text.count + text.count / 2)
        var position = 0
        while position < text.count {
            if text[position] == first, text[position...].starts(with: old) {
                result += new
                position += old.count
            } else {
                result.append(text[position])
                position += 1
            }
        }
        return result
    }

    private static func replacedSpaces(with new: [UInt8], in text: UnsafeBufferPointer<UInt8>) -> [UInt8]? {
        ScalarClass.table.withUnsafeBufferPointer { classes in
            let classified = ClassifiedText(text, classes: classes)
            var result: [UInt8] = []
            result.reserveCapacity(text.count)
            var position = 0
            while position < text.count {
                let end = classified.end(ofRunFrom: position, .space)
                if end > position { result += new }
                position = classified.end(ofRunWithout: .space, from: end)
                result += text[end..<position]
            }
            return result
        }
    }

    private static func lowercased(_ text: UnsafeBufferPointer<UInt8>) -> [UInt8]? {
        guard text.contains(where: { $0 >= 0x80 || ($0 >= 0x41 && $0 <= 0x5A) }) else { return nil }
        var result: [UInt8] = []
        result.reserveCapacity(text.count + 8)
        for scalar in String(decoding: text, as: UTF8.self).unicodeScalars {
            if scalar.isASCII {
                let byte = UInt8(truncatingIfNeeded: scalar.value)
                result.append(byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte)
            } else {
                result += scalar.properties.lowercaseMapping.utf8
            }
        }
        return result
    }
}

extension Normalizer {
    private static let supported = [
        "NFC", "Prepend", "Lowercase", "Replace with a String pattern or the Regex \\s+", "Sequence",
    ]

    /// The steps that `part` describes; nil is no step at all.
    init(_ part: JSONPart?) throws {
        self.init(steps: [])
        if let part { try append(part) }
    }

    private mutating func append(_ part: JSONPart) throws {
        switch try part.type() {
        case "Sequence":
            for step in try part.elements("normalizers") { try append(step) }
        case "NFC":
            steps.append(.composition)
        case "Prepend":
            steps.append(.prepending(Array(try part.string("prepend")?.utf8 ?? "▁".utf8)))
        case "Lowercase":
            steps.append(.lowercasing)
        case "Replace":
            if try part["pattern"]?.string("Regex") == #"\s+"#, let new = try part.string("content") {
                return steps.append(.replacingSpaces(with: Array(new.utf8)))
            }
            guard let old = try part["pattern"]?.string("String"), !old.isEmpty, let new = try part.string("content")
            else {
                throw part.unsupported("pattern", part["pattern"]?.value.kind ?? "absent", ["{\"String\": …}"])
            }
            steps.append(.replacing(Array(old.utf8), with: Array(new.utf8)))
        case let other:
            throw part.unsupported("type", "'\(other)'", Self.supported)
        }
    }
}
