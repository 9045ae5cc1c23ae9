// Prompts that name adapters, as in `a harbour, <lora:inkwash:0.8>`.
// The same as https://github.com/AUTOMATIC1111/stable-diffusion-webui (extra_networks.py, extra_networks_lora.py).

/// A prompt and the adapters that it names.
public struct LoRAPrompt: Sendable, Equatable {
    /// An adapter by its name, and how strongly it acts on each network.
    public struct Mention: Sendable, Equatable {
        /// The file's name without its ending, or its `ss_output_name`.
        public let name: String
        /// Strengths for the text encoder and the UNet.
        public let textEncoder, unet: Double
    }

    /// The prompt without the mentions.
    public let text: String
    /// In the order of the prompt.
    public let mentions: [Mention]

    /// Reads `<lora:NAME>`, `<lora:NAME:STRENGTH>`, `<lora:NAME:TEXT:UNET>`, also with `te=` and `unet=`.
    ///
    /// Throws where a strength is no number, and where a mention is not closed or has no name.
    public init(_ prompt: String) throws {
        var (text, mentions) = ("", [Mention]())
        var rest = prompt[...]
        while let start = rest.firstRange(of: "<lora:"), let end = rest[start.upperBound...].firstIndex(of: ">") {
            text += rest[..<start.lowerBound]
            mentions.append(try Self.mention(rest[start.upperBound..<end], in: rest[start.lowerBound...end]))
            rest = rest[rest.index(after: end)...]
        }
        guard let stray = [text, String(rest)].first(where: { $0.contains("<lora") }) else {
            let words = (text + rest).split(separator: " ", omittingEmptySubsequences: true)
            (self.text, self.mentions) = (words.joined(separator: " "), mentions)
            return
        }
        let shown = stray[(stray.firstRange(of: "<lora")?.lowerBound ?? stray.startIndex)...].prefix(40)
        throw LoRAError.prompt("'\(shown)' names no adapter; write <lora:NAME:0.8>")
    }

    private static func mention(_ inside: Substring, in whole: Substring) throws -> Mention {
        let parts = inside.split(separator: ":", omittingEmptySubsequences: false)
        var strengths: (textEncoder: Double?, unet: Double?)
        for (place, part) in parts.dropFirst().enumerated() {
            let pair = part.split(separator: "=", maxSplits: 1)
            guard let number = pair.last.flatMap({ Double($0) }), number.isFinite else {
                throw LoRAError.prompt("'\(whole)': '\(part)' is not a strength; write <lora:NAME:0.8>")
            }
            switch (pair.count == 2 ? pair[0] : "", place) {
            case ("te", _), ("", 0): strengths.textEncoder = number
            case ("unet", _), ("", 1): strengths.unet = number
            default: throw LoRAError.prompt("'\(whole)': '\(part)' is not known; write <lora:NAME:0.8>")
            }
        }
        guard let name = parts.first, !name.isEmpty else {
            throw LoRAError.prompt("'\(whole)': the adapter's name is missing; write <lora:NAME:0.8>")
        }
        let textEncoder = strengths.textEncoder ?? 1
        return Mention(name: String(name), textEncoder: textEncoder, unet: strengths.unet ?? textEncoder)
    }
}
