// Chat templates render as jinja2 with transformers' settings renders them, and refuse by name what they do not know.

import Foundation
import TestSupport
import Testing
import Tokenizers

/// What the reference makes of our templates; made by scripts/goldens/chat_template.py.
private struct TemplateGolden: Decodable {
    struct Case: Decodable {
        let name: String
        let messages: [ChatMessage]
        let prompt: Bool
        /// Nil where the reference refuses.
        let text: String?
    }

    let templates: [String: String]
    let cases: [Case]

    init() throws {
        let data = try Data(contentsOf: goldens.appendingPathComponent("chat_templates.json"))
        self = try JSONDecoder().decode(TemplateGolden.self, from: data)
    }
}

@Suite("Chat templates")
struct ChatTemplateTests {
    private static let variables = ["bos_token": "<s>", "eos_token": "</s>"]

    private func failure(_ source: String, _ messages: [ChatMessage] = []) -> String {
        do {
            return "no error: " + (try ChatTemplate(source).render(messages, addGenerationPrompt: false))
        } catch {
            return "\(error)"
        }
    }

    @Test("render as jinja2 does, byte for byte")
    func parity() throws {
        let golden = try TemplateGolden()
        #expect(golden.cases.count > 150)
        for example in golden.cases {
            let template = try ChatTemplate(#require(golden.templates[example.name]))
            let text = try? template.render(
                example.messages, addGenerationPrompt: example.prompt, variables: Self.variables)
            #expect(text.map { Array($0.utf8) } == example.text.map { Array($0.utf8) }, "\(example.name) \(text ?? "")")
        }
    }

    @Test(
        "are refused in one line that names the line and the cause",
        arguments: [
            ("a\n{% if x %}", "chat template, line 2: 'if' is not closed; expected '{% endif %}'"),
            ("{{ 'a }}", "chat template, line 1: the string is not closed; expected '"),
            ("{{ a", "chat template, line 1: the tag is not closed; expected '}}'"),
            ("{# a", "chat template, line 1: the comment is not closed; expected '#}'"),
            ("{% include 'x' %}", "chat template, line 1: the statement 'include' is not supported"),
            ("{{ 1 | frobnicate }}", "chat template, line 1: the filter 'frobnicate' is not supported"),
            ("{{ 1 is frobnic }}", "chat template, line 1: the test 'frobnic' is not supported"),
            ("{{ messages[0].role }}", "chat template, line 1: cannot take '.role' of 'item 0', which is undefined"),
            ("{{ 'a' + 1 }}", "chat template, line 1: cannot apply '+' to a string and an integer; '~' joins"),
            ("{{ (1 }}", "chat template, line 1: expected ')', got '}'"),
            ("{{ 1 1 }}", "chat template, line 1: expected '}}', got 1"),
            ("{% endfor %}", "chat template, line 1: 'endfor' without a statement that it belongs to"),
            ("{% set a.b = 1 %}", "chat template, line 1: cannot set 'a.b'; only a namespace() can be changed"),
            ("{{ nothing() }}", "chat template, line 1: cannot call 'nothing', which is undefined"),
            ("{{ raise_exception('No.\nNever.') }}", "the model's chat template refuses this conversation: No. Never."),
            ("{{ 1 // 0 }}", "chat template, line 1: division by zero"),
            ("{{ 9223372036854775807 + 1 }}", "chat template, line 1: 9223372036854775807 + 1 is too large"),
            ("{{ range(0, 99999999) }}", "chat template, line 1: stopped after a range of 100000 numbers"),
        ])
    func refusals(_ source: String, _ message: String) {
        #expect(failure(source).hasPrefix(message), "\(failure(source))")
        #expect(!failure(source).contains("\n"))
    }

    @Test("cannot work, nest or write without end")
    func limits() {
        let loops =
            String(repeating: "{% for i in range(1000) %}", count: 4)
            + String(repeating: "{% endfor %}", count: 4)
        #expect(failure(loops).contains("stopped after 2000000 operations"))
        #expect(failure("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}").contains("stopped after 50 macros"))
        let deep = "{{ " + String(repeating: "(", count: 5000) + String(repeating: ")", count: 5000) + " }}"
        #expect(failure(deep).contains("nested more than 100 levels deep"))
        let chain = "{{ 1" + String(repeating: "+1", count: 5000) + " }}"
        #expect(failure(chain).contains("400 operators in an expression"))
        let bracket = "(1" + String(repeating: "+1", count: 190)
        let nested = String(repeating: bracket, count: 80) + String(repeating: ")", count: 80)
        #expect(failure("{{ \(nested) }}").contains("400 operators in an expression"))
        let list = "{% set ns = namespace(a=1) %}{% for i in range(100000) %}{% set ns.a = [ns.a] %}{% endfor %}"
        #expect(failure(list).contains("nested too deep"))
        let growth =
            "{% set ns = namespace(a='aaaaaaaaaaaaaaaa') %}{% for i in range(40) %}"
            + "{% set ns.a = ns.a ~ ns.a %}{% endfor %}"
        #expect(failure(growth).contains("stopped after 64 MiB of text"))
    }

    @Test("never crash, however a template is damaged")
    func damage() throws {
        let golden = try TemplateGolden()
        let sources = golden.templates.sorted { $0.key < $1.key }.map(\.value)
        let messages = [ChatMessage(role: "user", content: "a"), ChatMessage(role: "assistant", content: "b")]
        var state: UInt64 = 7
        func random(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % max(1, bound)
        }
        let alphabet = Array("{}%#-+|()[]'\"\\.,:=~ \nabif0e\u{301}é".unicodeScalars)
        for _ in 0..<1500 {
            var source = Array(sources[random(sources.count)].unicodeScalars)
            for _ in 0...random(3) {
                let place = random(source.count)
                switch random(3) {
                case 0: source.remove(at: place)
                case 1: source.insert(alphabet[random(alphabet.count)], at: place)
                default: source.removeSubrange(place..<min(source.count, place + random(20)))
                }
            }
            _ = failure(String(String.UnicodeScalarView(source)), messages)
        }
    }

    @Test("see the clock they are given")
    func clock() throws {
        var template = try ChatTemplate("{{ strftime_now('%Y-%m-%d %H:%M:%S %a') }}")
        template.clock = TemplateClock(seconds: 951_827_696)
        #expect(template.readsClock)
        #expect(try template.render([], addGenerationPrompt: false) == "2000-02-29 12:34:56 Tue")
    }
}
