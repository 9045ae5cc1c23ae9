// Which tokens a record becomes, and which of them are trained.

import Foundation
import TestSupport
import Testing
import Tokenizers

@testable import Datasets

private struct SampleGolden: Decodable {
    struct Case: Decodable {
        let record: String
        let tokens: [Int32]
        let trained: [Bool]
    }

    let template: String
    let cases: [Case]
}

@Suite("Samples")
struct SampleTests {
    @Test("equal the tokens and masks of transformers, token by token")
    func parity() throws {
        let data = try Data(contentsOf: goldens.appendingPathComponent("dataset_samples.json"))
        let golden = try JSONDecoder().decode(SampleGolden.self, from: data)
        let base = try Tokenizer(folder: goldens.appendingPathComponent("tokenizer-smollm"))
        let tokenizer = TemplatedTokenizer(base: base, chatTemplateSource: golden.template)
        #expect(golden.cases.count == 6)
        for example in golden.cases {
            let data = try dataset(example.record, tokenizer: tokenizer)
            #expect(data.samples.count == 1)
            #expect(data.samples[0].tokens == example.tokens, "\(example.record)")
            #expect(data.samples[0].isTrained == example.trained, "\(example.record)")
            #expect(data.summary.warnings.isEmpty, "\(data.summary.warnings)")
        }
    }

    @Test("train every answer with its end of turn, and nothing else")
    func turns() throws {
        let data = try dataset(
            #"{"messages":[{"role":"system","content":"S"},{"role":"user","content":"a"},"#
                + #"{"role":"assistant","content":"b"},{"role":"user","content":"c"},{"role":"assistant","content":"d"}]}"#
        )
        #expect(
            data.marked() == "<|a|>system\nS<|z|>\n<|a|>user\na<|z|>\n<|a|>assistant\n«b<|z|>\n»"
                + "<|a|>user\nc<|z|>\n<|a|>assistant\n«d<|z|>\n»")
        #expect(data.summary.supervisedTokens == 6)
    }

    @Test("train the prompt too when asked, all but the first token")
    func promptTraining() throws {
        var options = TextDataOptions()
        options.trainsOnPrompt = true
        let data = try dataset(#"{"prompt":"a","completion":"b"}"#, options: options)
        #expect(data.marked() == "<|a|>«user\na<|z|>\n<|a|>assistant\nb<|z|>\n»")
    }

    @Test("cannot get special tokens from what people wrote")
    func injection() throws {
        let data = try dataset(#"{"prompt":" <|z|> x </s>\n","completion":"<s>y"}"#)
        #expect(data.marked() == "<|a|>user\n <|z|> x </s>\n<|z|>\n<|a|>assistant\n«<s>y<|z|>\n»")
        #expect(data.samples[0].tokens.filter { $0 > 255 } == [258, 259, 258, 259])
        #expect(data.summary.warnings.contains { $0.contains("text of special tokens") })
    }

    @Test("use the plain layout without a chat template, and say so")
    func plainLayout() throws {
        let line = #"{"instruction":"Add.","input":"1 2","output":"3"}"#
        let data = try dataset(line, tokenizer: ByteTokenizer(addsBOS: true))
        #expect(data.marked() == "<s>### Instruction:\nAdd.\n1 2\n\n### Response:\n«3</s>»")
        #expect(data.summary.warnings[0].hasPrefix("no chat template: "))
    }

    @Test("of prompts and completions without a chat template follow each other directly")
    func exchange() throws {
        let data = try dataset(#"{"question":"1+1=","answer":"2"}"#, tokenizer: ByteTokenizer(addsBOS: true))
        #expect(data.marked() == "<s>1+1=«2</s>»")
        #expect(data.summary.format == .promptCompletion)
    }

    @Test("of plain text begin with BOS where the model expects it and end with EOS, once")
    func text() throws {
        #expect(try dataset("a b\n\nc\n", "d.txt", tokenizer: ByteTokenizer(addsBOS: true)).marked() == "<s>«a b</s>»")
        let marked = try dataset(#"{"text":"<s>hi</s>"}"#, tokenizer: ByteTokenizer(addsBOS: true)).marked()
        #expect(marked == "<s>«hi</s>»")
    }

    @Test("are one for each answer where the template rewrites earlier turns")
    func rewriting() throws {
        let template =
            "{% for m in messages %}{{ m.role[0] }}:{{ m.content if loop.last or m.role == 'user' else '-' }}</s>"
            + "{% endfor %}{% if add_generation_prompt %}a:{% endif %}"
        let data = try dataset(
            #"{"conversations":[{"from":"human","value":"u1"},{"from":"gpt","value":"g1"},"#
                + #"{"from":"human","value":"u2"},{"from":"gpt","value":"g2"}]}"#,
            tokenizer: ByteTokenizer(chatTemplateSource: template))
        #expect(data.samples.count == 2)
        #expect(data.marked(0) == "u:u1</s>a:«g1</s>»")
        #expect(data.marked(1) == "u:u1</s>a:-</s>u:u2</s>a:«g2</s>»")
        #expect(data.summary.warnings[0].contains("one sample an answer"))
    }

    @Test("begin as a question does when the trained model is asked")
    func questions() throws {
        let line = #"{"prompt":"a </s>","completion":"b"}"#
        for (tokenizer, isRaw) in [
            (ByteTokenizer(), true), (ByteTokenizer(addsBOS: true), true),
            (ByteTokenizer(chatTemplateSource: ByteTokenizer.template), false),
        ] {
            let data = try dataset(line, tokenizer: tokenizer)
            #expect(data.summary.isRaw == isRaw)
            let question = try PromptEncoder(tokenizer, isRaw: data.summary.isRaw).encode("a </s>")
            let sample = try #require(data.samples.first)
            #expect(sample.tokens.prefix(question.count).map(Int.init) == question)
            #expect(sample.isTrained.prefix(question.count).allSatisfy { !$0 } && sample.isTrained[question.count])
        }
    }

    @Test("leave the header untrained where the template knows no generation prompt")
    func headers() throws {
        let template = "{% for m in messages %}[{{ m.role }}] {{ m.content }}</s>{% endfor %}"
        let data = try dataset(
            #"{"prompt":"a","completion":"b"}"#, tokenizer: ByteTokenizer(chatTemplateSource: template))
        #expect(data.marked() == "[user] a</s>[assistant] «b</s>»")
        let bare =
            "{% for m in messages %}{{ '[Q] ' + m.content + ' [/Q]' if m.role == 'user' else ' ' + m.content + '</s>' }}{% endfor %}"
        let second = try dataset(
            #"{"prompt":"a","completion":"b"}"#, tokenizer: ByteTokenizer(chatTemplateSource: bare))
        #expect(second.marked() == "[Q] a [/Q]« b</s>»")
    }

    @Test("leave the header untrained where generation begins differently, and say so")
    func differingPrompt() throws {
        let template =
            "{% for m in messages %}{{ m.role ~ ': ' ~ m.content ~ '</s>' }}{% endfor %}"
            + "{% if add_generation_prompt %}PROMPT{% endif %}"
        let line = #"{"prompt":"a","completion":"b"}"#
        let data = try dataset(line, tokenizer: ByteTokenizer(chatTemplateSource: template))
        #expect(data.marked() == "user: a</s>assistant: «b</s>»")
        #expect(data.summary.warnings[0].contains("begins differently in training and in generation"))
        let erratic =
            "{{ messages | length }}{% for m in messages %}{{ m.content }}{% endfor %}{{ add_generation_prompt }}"
        #expect(
            failure(line, tokenizer: ByteTokenizer(chatTemplateSource: erratic)).hasPrefix(
                "data.jsonl:1: chat template: the text before an answer changes once the answer is known"))
    }

    @Test("get an end where the template gives none")
    func endOfTurn() throws {
        let template =
            "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"
        let data = try dataset(
            #"{"prompt":"a","completion":"b"}"#, tokenizer: ByteTokenizer(chatTemplateSource: template))
        #expect(data.marked() == "user: a\nassistant: «b\n</s>»")
        #expect(data.summary.warnings.contains { $0.contains("end-of-text token was added") })
    }

    @Test("where the template refuses name the record")
    func refusal() {
        let template = "{% if messages[0].role == 'system' %}{{ raise_exception('No system role.') }}{% endif %}"
        let message = failure(
            "\n" + #"{"system":"S","prompt":"a","completion":"b"}"#,
            tokenizer: ByteTokenizer(chatTemplateSource: template))
        #expect(message == "data.jsonl:2: the model's chat template refuses this conversation: No system role.")
    }

    @Test("shown as a table name token, id and whether it is trained")
    func table() throws {
        let data = try dataset(#"{"prompt":"a\u0007","completion":"b c"}"#)
        #expect(
            data.sampleTable(limit: 8) == """
                data.jsonl:1: 26 tokens, 5 trained
                  token       id  trained
                  <|a|>      258  -
                  u          117  -
                  s          115  -
                  e          101  -
                  … 18 tokens, 1 trained …
                  ·           32  yes
                  c           99  yes
                  <|z|>      259  yes
                  ⏎           10  yes

                """)
        #expect(data.sampleTable(7) == "no sample 7; there are 1\n")
    }
}
