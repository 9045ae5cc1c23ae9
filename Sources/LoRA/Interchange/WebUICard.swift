// The card of an adapter in AUTOMATIC1111: `NAME.json` beside `NAME.safetensors`.
// Fields: https://github.com/AUTOMATIC1111/stable-diffusion-webui/blob/master/extensions-builtin/Lora/ui_edit_user_metadata.py

import Formats
import Foundation

/// What AUTOMATIC1111 shows of an adapter and adds to prompts.
public struct WebUICard: Codable, Sendable, Equatable {
    public var description = ""
    /// `SD1` or `SD2`.
    public var version = "SD1"
    /// Added to the prompt with the adapter: the trigger word.
    public var activationText = ""
    /// 0: the user's own default.
    public var preferredWeight = 0.0
    public var negativeText = ""
    public var notes = ""

    public init() {}

    private enum CodingKeys: String, CodingKey {
        case description, notes
        case version = "sd version"
        case activationText = "activation text"
        case preferredWeight = "preferred weight"
        case negativeText = "negative text"
    }

    /// Writes the card, replacing a file of that name.
    public func write(to url: URL) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        try AtomicFile.write(try encoder.encode(self) + [10], to: url)
    }
}
