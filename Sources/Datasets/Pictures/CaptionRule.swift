// How a caption varies from use to use: a trigger word first, tags in another order, now and then nothing at all.

import Foundation

/// How captions vary from use to use.
public struct CaptionRule: Sendable, Equatable {
    /// A word that stands first in every caption but those of regularisation pictures.
    public var triggerWord: String?
    /// Whether the parts between commas change places.
    public var shufflesTags = false
    /// How many parts keep their place at the start, beside the trigger word.
    public var keptTags = 0
    /// How likely a caption is left out, so that the model also learns without one.
    public var dropout = 0.0
    /// What all of that follows from.
    public var seed: UInt64 = 0

    /// Makes a rule that leaves captions as they are.
    public init() {}

    /// The caption with its trigger word.
    func full(_ caption: String, isRegularisation: Bool) -> String {
        guard let triggerWord, !triggerWord.isBlank, !isRegularisation, !Self.starts(caption, with: triggerWord) else {
            return caption
        }
        return caption.isEmpty ? triggerWord : "\(triggerWord), \(caption)"
    }

    /// The caption of one use of a sample; `draw` counts the uses over all epochs.
    func caption(_ caption: String, name: String, isRegularisation: Bool, draw: Int) -> String {
        guard dropout > 0 || shufflesTags else { return full(caption, isRegularisation: isRegularisation) }
        var generator = SplitMix64(seed: seed ^ Self.number(name), member: draw)
        // Drawn in any case, so that one option does not change what the other does.
        let chance = generator.nextShare()
        if chance < dropout { return "" }
        guard shufflesTags else { return full(caption, isRegularisation: isRegularisation) }
        let tags = Self.tags(caption)
        let isFirst = triggerWord.map { Self.starts(caption, with: $0) } ?? false
        let kept = min(tags.count, max(0, keptTags) + (isFirst ? 1 : 0))
        let order = generator.permutation(tags.count - kept).map { tags[kept + $0] }
        let shuffled = (tags[..<kept] + order).joined(separator: ", ")
        return full(shuffled, isRegularisation: isRegularisation)
    }

    /// The parts of a caption between commas.
    static func tags(_ caption: String) -> [String] {
        caption.split(separator: ",").map { String($0).trimmed }.filter { !$0.isEmpty }
    }

    private static func starts(_ caption: String, with word: String) -> Bool {
        guard caption.hasPrefix(word) else { return false }
        let next = caption.dropFirst(word.count).first
        return next.map { !$0.isLetter && !$0.isNumber } ?? true
    }

    /// A number of a name (FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv), the same on every machine.
    private static func number(_ name: String) -> UInt64 {
        name.utf8.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    }

    /// Refuses what cannot be.
    func check() throws {
        guard dropout >= 0, dropout < 1 else {
            throw DatasetError.option("caption_dropout", problem: "expected 0 to below 1, got \(dropout)")
        }
        guard keptTags >= 0 else {
            throw DatasetError.option("keep_tokens", problem: "expected 0 or more, got \(keptTags)")
        }
    }
}

extension String {
    /// On one line, without white space at the ends of its lines.
    var trimmed: String {
        split(whereSeparator: \.isNewline).map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
            .joined(separator: " ")
    }
}
