// The tokenizer of CLIP's text encoder, which every Stable Diffusion reads its prompts through.
// Port of https://github.com/huggingface/transformers/blob/main/src/transformers/models/clip/tokenization_clip.py

import Formats
import Foundation

/// A prompt as CLIP's text encoder takes it.
public struct CLIPPrompt: Sendable, Equatable {
    /// The start, the text's tokens, the end and padding: always ``CLIPTokenizer/length`` numbers.
    public let ids: [Int]
    /// How many of ``ids`` are tokens of the text.
    public let tokenCount: Int
    /// How many tokens of the text found no room and were left out at its end.
    public let cutCount: Int
}

/// Turns prompts into the numbers that CLIP's text encoder reads, and numbers back into text.
///
/// Safe to use from several tasks at once.
public struct CLIPTokenizer: Sendable {
    /// The numbers in a row: start, tokens and end.
    public static let length = 77
    /// The tokens of a text that fit into a row.
    public static let textLength = length - 2

    /// The number that every row starts with.
    public let startID: Int
    /// The number after the last token of a text.
    public let endID: Int
    /// The number that fills a row up: ``endID`` with Stable Diffusion 1, 0 with Stable Diffusion 2.
    public let padID: Int

    /// A space for every end of a word, even where a combining mark follows.
    private static let spacing = Normalizer(
        steps: [.replacing(Array(TokenizerStages.clipWordEnd.utf8), with: [UInt8(ascii: " ")])])

    private let tokenizer: Tokenizer
    private let commaID: Int?
    /// The file that all was read from, where it was one.
    private let file: URL?

    /// Reads `tokenizer.json`, or `vocab.json` with `merges.txt`, and the special tokens from the files beside them.
    ///
    /// - Parameter padding: the token that fills rows up where the files do not say; nil: the one that ends a text.
    public init(folder: URL, padding: String? = nil) throws {
        let roles = try CLIPRoles(folder: folder, padding: padding)
        try self.init(TokenizerStages(clipFolder: folder, roles: roles), roles, folder: folder, file: nil)
    }

    /// Reads a `tokenizer.json` that has another name; what lies beside it is not its own.
    public init(file: URL, padding: String? = nil) throws {
        let roles = try CLIPRoles(folder: nil, padding: padding)
        try self.init(TokenizerStages(clipFile: file, roles: roles), roles, folder: nil, file: file)
    }

    private init(_ stages: TokenizerStages, _ roles: CLIPRoles, folder: URL?, file: URL?) throws {
        self.file = file
        startID = try stages.requiredID(of: roles.start)
        endID = try stages.requiredID(of: roles.end)
        padID = try stages.requiredID(of: roles.pad)
        commaID = stages.model.vocabulary.id(of: Array(",\(TokenizerStages.clipWordEnd)".utf8))
        let specials = SpecialTokens(
            bos: roles.start.content, eos: roles.end.content, pad: roles.pad.content, unknown: roles.unknown.content)
        tokenizer = try Tokenizer(stages, specials, folder: folder)
    }

    /// One more than the largest id.
    public var vocabularySize: Int { tokenizer.vocabularySize }

    /// Writes the tokenizer's files, as they were read, into a folder.
    public func writeFiles(to folder: URL) throws {
        guard let file else { return try tokenizer.writeFiles(to: folder) }
        try Tokenizer.makeFolder(folder)
        try AtomicFile.write(Tokenizer.read(file), to: folder.appendingPathComponent("tokenizer.json"))
    }

    // MARK: - Text to ids

    /// All tokens of a text, without start, end and padding; special tokens written in it are recognised.
    public func tokens(_ text: String) -> [Int] { tokenizer.encode(text) }

    /// The one row for a text; what does not fit is cut off and counted.
    public func encode(_ text: String) -> CLIPPrompt { row(of: tokens(text)[...]) }

    /// The rows for a text of any length, ``textLength`` tokens in each.
    ///
    /// - Parameters:
    ///   - count: How many rows there must be: missing ones are rows of an empty text, and what does not fit is cut
    ///     off and counted in the last one, as kohya's trainers do. nil: as many as the text needs, at least one.
    ///   - commaReach: Where a comma is among so many tokens at the end of a row, what follows it moves to the next
    ///     row, as with AUTOMATIC1111's `comma_padding_backtrack`, which is 20 by default.
    public func chunks(_ text: String, count: Int? = nil, commaReach: Int = 0) -> [CLIPPrompt] {
        precondition(count ?? 1 > 0, "a prompt needs a row")
        let tokens = tokens(text)
        var rows: [CLIPPrompt] = []
        var start = 0
        while rows.count < count ?? .max, rows.isEmpty || start < tokens.count {
            let isLast = rows.count + 1 == count
            let end = endOfRow(from: start, in: tokens, commaReach: commaReach)
            rows.append(row(of: tokens[start..<(isLast ? tokens.count : end)], atMost: end - start))
            start = end
        }
        while rows.count < count ?? 0 { rows.append(row(of: [])) }
        return rows
    }

    private func endOfRow(from start: Int, in tokens: [Int], commaReach: Int) -> Int {
        let end = min(start + Self.textLength, tokens.count)
        guard commaReach > 0, end < tokens.count, let commaID, tokens[end] != commaID,
            let comma = tokens[start..<end].lastIndex(of: commaID), end - comma <= commaReach
        else { return end }
        return comma + 1
    }

    private func row(of tokens: ArraySlice<Int>, atMost limit: Int = textLength) -> CLIPPrompt {
        let kept = tokens.prefix(limit)
        let padding = Array(repeating: padID, count: Self.textLength - kept.count)
        return CLIPPrompt(
            ids: [startID] + kept + [endID] + padding, tokenCount: kept.count, cutCount: tokens.count - kept.count)
    }

    // MARK: - Ids to text

    /// The text of `ids`, a space after every word.
    public func decode(_ ids: [Int], skippingSpecialTokens: Bool = true) -> String {
        let text = tokenizer.decode(ids, skippingSpecialTokens: skippingSpecialTokens)
        let spaced = Self.spacing.normalized(Array(text.utf8))
        // What Python's `strip` takes for white space: four control characters too.
        let isSpace = { (scalar: Unicode.Scalar) in
            scalar.properties.isWhitespace || (0x1C...0x1F).contains(scalar.value)
        }
        let scalars = String(decoding: spaced, as: UTF8.self).unicodeScalars
        guard let last = scalars.lastIndex(where: { !isSpace($0) }) else { return "" }
        return String(String.UnicodeScalarView(scalars[...last].drop(while: isSpace)))
    }
}
