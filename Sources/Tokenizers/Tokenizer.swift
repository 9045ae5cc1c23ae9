// The public face of the tokenizer: text to ids and back.

import Formats
import Foundation

/// Turns text into the token ids of a model, and ids back into text.
///
/// Byte-pair encodings from a Hugging Face `tokenizer.json` or a GGUF file. Safe to use from several tasks at once.
public final class Tokenizer: Sendable {
    /// One more than the largest token id.
    public let vocabularySize: Int
    /// The token that starts a text, its name and its id.
    public let bosToken: String?, bosID: Int?
    /// The token that ends a text, its name and its id.
    public let eosToken: String?, eosID: Int?
    /// The token that fills up a batch, its name and its id.
    public let padToken: String?, padID: Int?
    /// The ids after which a model has said all it wanted: end of text and end of turn.
    public let endOfTurnIDs: Set<Int>
    /// Whether the model expects ``bosID`` before every text; ``encode(_:)`` does not add it.
    public let addsBOS: Bool
    /// The model's chat template in Jinja.
    public let chatTemplateSource: String?

    let stages: TokenizerStages
    let specials: SpecialTokens
    /// The folder that the files came from; nil when they came from a GGUF.
    let folder: URL?
    private let rawMatcher, normalizedMatcher: AddedTokenMatcher
    private let addedByID: [Int: AddedToken]
    private let workspaces = WorkspacePool()

    /// Reads `tokenizer.json` and, where present, the files beside it.
    public convenience init(folder: URL) throws {
        let stages = try TokenizerStages(folder: folder)
        try self.init(stages, SpecialTokens(folder: folder, stages: stages), folder: folder)
    }

    init(_ stages: TokenizerStages, _ specials: SpecialTokens, folder: URL?) throws {
        self.stages = stages
        self.specials = specials
        self.folder = folder
        rawMatcher = AddedTokenMatcher(stages.added.filter { !$0.isNormalized })
        normalizedMatcher = AddedTokenMatcher(stages.added.filter(\.isNormalized)) {
            stages.normalizer.normalized(Array($0.content.utf8))
        }
        addedByID = Dictionary(stages.added.map { ($0.id, $0) }, uniquingKeysWith: { $1 })
        vocabularySize = max(stages.model.vocabulary.idLimit, (stages.added.map(\.id).max() ?? -1) + 1)
        (bosToken, eosToken, padToken) = (specials.bos, specials.eos, specials.pad)
        bosID = specials.bos.flatMap(stages.id(of:))
        eosID = specials.eos.flatMap(stages.id(of:))
        padID = specials.pad.flatMap(stages.id(of:))
        endOfTurnIDs = specials.endOfTurnIDs(stages)
        addsBOS = specials.addsBOS && bosID != nil
        chatTemplateSource = specials.chatTemplate
    }

    // MARK: - Text to ids

    /// The ids of `text`; added tokens written in it are recognised, and nothing is put around it.
    public func encode(_ text: String) -> [Int] { encode(text, allowingSpecialTokens: true) }

    /// The ids of `text`; with `allowingSpecialTokens` false, no text can turn into a special token.
    public func encode(_ text: String, allowingSpecialTokens: Bool) -> [Int] {
        var workspace = workspaces.take()
        defer { workspaces.give(workspace) }
        var output: [Int] = []
        output.reserveCapacity(text.utf8.count / 3)
        var text = text
        text.withUTF8 { bytes in
            rawMatcher.forEachPart(of: bytes, allowingSpecialTokens: allowingSpecialTokens) { part in
                switch part {
                case .token(let id): output.append(id)
                case .text(let range):
                    let segment = UnsafeBufferPointer(rebasing: bytes[range])
                    let isFirst = range.lowerBound == 0
                    if let changed = stages.normalizer.normalized(segment) {
                        changed.withUnsafeBufferPointer {
                            encode($0, isFirst, allowingSpecialTokens, &workspace, &output)
                        }
                    } else {
                        encode(segment, isFirst, allowingSpecialTokens, &workspace, &output)
                    }
                }
            }
        }
        return output
    }

    private func encode(
        _ text: UnsafeBufferPointer<UInt8>, _ isFirst: Bool, _ allowingSpecialTokens: Bool,
        _ workspace: inout Workspace, _ output: inout [Int]
    ) {
        ScalarClass.table.withUnsafeBufferPointer { classes in
            normalizedMatcher.forEachPart(of: text, allowingSpecialTokens: allowingSpecialTokens) { part in
                switch part {
                case .token(let id): output.append(id)
                case .text(let range):
                    let segment = ClassifiedText(UnsafeBufferPointer(rebasing: text[range]), classes: classes)
                    stages.preTokenizer.forEachPiece(of: segment, isFirst: isFirst && range.lowerBound == 0) { piece in
                        stages.model.encode(piece, &workspace, to: &output)
                    }
                }
            }
        }
    }

    // MARK: - Ids to text

    /// The text of `ids`; unknown ids are passed over.
    public func decode(_ ids: [Int], skippingSpecialTokens: Bool = false) -> String {
        let tokens = ids.lazy.filter { !skippingSpecialTokens || self.addedByID[$0]?.isSpecial != true }
        return decoder.text(of: tokens.compactMap(bytes(of:)))
    }

    /// The token with this id as the vocabulary spells it.
    public func token(_ id: Int) -> String? { addedByID[id]?.content ?? stages.model.vocabulary.token(id) }

    /// The id of a token as the vocabulary spells it.
    public func id(of token: String) -> Int? { stages.id(of: token) }

    var decoder: TokenDecoder { stages.decoder }

    func bytes(of id: Int) -> ArraySlice<UInt8>? {
        guard let added = addedByID[id] else { return stages.model.vocabulary.bytes(of: id) }
        let content = Array(added.content.utf8)
        return added.isNormalized ? stages.normalizer.normalized(content)[...] : content[...]
    }
}

/// The stages that a text passes through, and the tokens beside the model's own.
struct TokenizerStages: Sendable {
    var normalizer = Normalizer(steps: [])
    var preTokenizer: PreTokenizer
    var model: BytePairModel
    var decoder: TokenDecoder
    var added: [AddedToken] = []
    /// Whether the file's post-processor starts a text with a special token.
    var startsWithSpecial: String?
    /// The file that the stages were read from, for messages.
    var file: String

    /// The id of a token as it is spelled.
    func id(of token: String) -> Int? {
        added.last { $0.content == token }?.id ?? model.vocabulary.id(of: Array(token.utf8))
    }
}

/// Workspaces that are not in use; each belongs to one `encode` at a time.
private final class WorkspacePool: @unchecked Sendable {
    // `free` is read and written only between `lock()` and `unlock()`, and a workspace leaves it before it is used.
    private let lock = NSLock()
    private var free: [Workspace] = []

    func take() -> Workspace { lock.withLock { free.popLast() } ?? Workspace() }

    func give(_ workspace: Workspace) {
        lock.withLock { if free.count < 16 { free.append(workspace) } }
    }
}
