// Adapters that are named in a prompt.

import LoRA
import Testing

@Suite("Prompts that name adapters")
struct LoRAPromptTests {
    @Test("strengths for both networks, for one, by name and by place")
    func mentions() throws {
        let prompt = try LoRAPrompt(
            "a harbour, <lora:ink:0.8> at dawn <lora:b c:0.5:1.2><lora:d> <lora:e:te=0:unet=-1>")
        #expect(prompt.text == "a harbour, at dawn")
        let found = prompt.mentions.map { "\($0.name) \($0.textEncoder) \($0.unet)" }
        #expect(found == ["ink 0.8 0.8", "b c 0.5 1.2", "d 1.0 1.0", "e 0.0 -1.0"])
    }

    @Test("text that is no mention stays", arguments: ["a <b> c", "2 < 3 > 1", ""])
    func plain(_ text: String) throws {
        let prompt = try LoRAPrompt(text)
        #expect(prompt.text == text && prompt.mentions.isEmpty)
    }

    @Test(
        "what cannot be meant is refused with the mention",
        arguments: [
            ("<lora:ink:strong>", "'strong' is not a strength"), ("<lora:ink:nan>", "'nan' is not a strength"),
            ("<lora:>", "the adapter's name is missing"), ("b <lora:ink:0.8", "'<lora:ink:0.8' names no adapter"),
            ("<lora ink>", "'<lora ink>' names no adapter"), ("<lora:ink:1:1:1>", "'1' is not known"),
            ("<lora:ink:x=1>", "'x=1' is not known"),
        ])
    func refused(_ text: String, _ problem: String) {
        expectMessage(problem) { _ = try LoRAPrompt("a \(text)") }
    }
}
