// Every complaint about a configuration, word for word.

import Foundation
import TestSupport
import Testing

@testable import Runs

@Suite("A wrong configuration is explained")
struct ConfigurationErrorTests {
    private func problems(_ text: String, overrides: [String] = []) -> [String] {
        do throws(ConfigurationError) {
            _ = try Configuration.parse(text, source: "c.yaml", overrides: overrides)
            return []
        } catch {
            return error.problems.map(\.description)
        }
    }

    /// Lines added to the smallest configuration, from line 4 on, and what is said.
    private static let lines: [(String, String)] = [
        ("learning_rat: 1", "4:1: unknown key 'learning_rat'; did you mean 'learning_rate'?"),
        ("learnign_rate: 1", "4:1: unknown key 'learnign_rate'; did you mean 'learning_rate'?"),
        ("leraning_rat: 1", "4:1: unknown key 'leraning_rat'; did you mean 'learning_rate'?"),
        ("LORA_RANK: 1", "4:1: unknown key 'LORA_RANK'; did you mean 'lora_rank'?"),
        ("lr: 1", "4:1: unknown key 'lr'; here it is called 'learning_rate'"),
        (
            "wholly_other: 1",
            "4:1: unknown key 'wholly_other'; remove it (every key is written, with its meaning, to a run's config.yaml)"
        ),
        ("prompts: [a]", "4:1: 'prompts' belongs in the group 'samples': indent it below 'samples:'"),
        (
            "training: {seed: 1}",
            "4:1: unknown key 'training'; keys are not grouped: move the keys below it to the top level"
        ),
        ("samples: {epochs: 1}", "4:11: 'epochs' belongs at the top level, not in 'samples'"),
        ("samples: {prompt: a}", "4:11: unknown key 'prompt' in 'samples'; did you mean 'prompts'?"),
        (
            "samples: {zzz: a}",
            "4:11: unknown key 'zzz' in 'samples'; known: prompts, max_tokens, steps, negative_prompt, strengths, "
                + "sampling_steps, guidance_scale, sampler, size, seed"
        ),
        (
            "samples: [a]",
            "4:10: 'samples': expected a group of keys, got a list; write samples: and below it, indented, "
                + "prompts: [\"What is LoRA?\"]"
        ),
        (
            "samples:\n  max_tokens: many",
            "5:15: 'samples.max_tokens': expected a whole number from 1 to 65536, got 'many'; for example max_tokens: 128"
        ),
        (
            "lora_rank: eight",
            "4:12: 'lora_rank': expected a whole number from 1 to 8192, got 'eight'; for example lora_rank: 8"
        ),
        (
            "lora_rank: \"8\"",
            "4:12: 'lora_rank': expected a whole number from 1 to 8192, got '8' in quotes; remove the quotes"
        ),
        (
            "lora_rank: 0",
            "4:12: 'lora_rank': expected a whole number from 1 to 8192, got '0'; for example lora_rank: 8"
        ),
        (
            "lora_rank: 8.5",
            "4:12: 'lora_rank': expected a whole number from 1 to 8192, got '8.5'; for example lora_rank: 8"
        ),
        (
            "seed: 99999999999999999999",
            "4:7: 'seed': expected a whole number of at least 0, got '99999999999999999999'; for example seed: 42"
        ),
        (
            "learning_rate: 2e-4x",
            "4:16: 'learning_rate': expected a number above 0, got '2e-4x'; for example learning_rate: 2e-4"
        ),
        (
            "learning_rate: 1e999",
            "4:16: 'learning_rate': expected a number above 0, got '1e999'; for example learning_rate: 2e-4"
        ),
        (
            "learning_rate: .nan",
            "4:16: 'learning_rate': expected a number above 0, got '.nan'; for example learning_rate: 2e-4"
        ),
        (
            "lora_dropout: 1",
            "4:15: 'lora_dropout': expected a number from 0 to below 1, got '1'; for example lora_dropout: 0.05"
        ),
        ("packing: maybe", "4:10: 'packing': expected true or false, got 'maybe'; for example packing: true"),
        ("packing: {a: 1}", "4:10: 'packing': expected true or false, got a group of keys; for example packing: true"),
        (
            "lr_scheduler: cosin",
            "4:15: 'lr_scheduler': expected one of constant, linear, cosine, got 'cosin'; did you mean 'cosine'?"
        ),
        (
            "mixed_precision: yes",
            "4:18: 'mixed_precision': expected one of no, bf16, fp16, got 'yes'; for example mixed_precision: bf16"
        ),
        ("device: gpu", "4:9: 'device': expected auto, cpu, cuda, cuda:0 or mps, got 'gpu'; for example device: auto"),
        (
            "target_modules: [a, [b]]",
            "4:17: 'target_modules': expected a list of texts, or one text, got a list; "
                + "for example target_modules: [q_proj, v_proj]"
        ),
        (
            "target_modules: q_proj, v_proj",
            "4:17: 'target_modules': 'q_proj, v_proj' is one text; write [q_proj, v_proj]"
        ),
        (
            "target_modules: ['']",
            "4:17: 'target_modules': a name is empty; for example target_modules: [q_proj, v_proj]"
        ),
        ("resolution: 512", "4:13: 'resolution' belongs to text-to-image, and this run is text-generation; remove it"),
        ("lora_rank: 8\nlora_rank: 9", "5:1: 'lora_rank' is given twice, first on line 4; keep one"),
        (
            "samples:\n  steps: 1\n  # again\n  \"steps\" : 2",
            "7:3: 'steps' is given twice, first on line 5; keep one"
        ),
        ("samples: {steps: 1, steps: 2}", "4:11: a key is given twice: 'steps'"),
        ("train_data: x", "4:1: 'train_data' and 'train_data_dir' mean the same; keep one"),
        (
            "warmup_steps: 1\nwarmup_ratio: 0.1",
            "5:15: 'warmup_ratio' and 'warmup_steps' exclude each other; keep one"
        ),
        ("max_steps: 5\nwarmup_steps: 6", "5:15: 'warmup_steps' is 6, more than 'max_steps', 5; lower it"),
        (
            "validation_data: x\nvalidation_split: 0.1",
            "5:19: 'validation_split' and 'validation_data' exclude each other; keep one"
        ),
        (
            "eval_steps: 5",
            "4:13: 'eval_steps' needs something to measure; add validation_split: 0.1 or validation_data"
        ),
        (
            "output_name: \"{lora_rang}\"",
            "4:14: 'output_name': nothing is called '{lora_rang}'; did you mean {lora_rank}?"
        ),
        (
            "output_name: \"{}\"",
            "4:14: 'output_name': nothing is called '{}'; use {project} or a key such as {lora_rank}"
        ),
        (
            "output_name: ../x",
            "4:14: 'output_name' becomes '../x', which cannot be an adapter's name; choose another"
        ),
        (
            "? [a]\n: b",
            "4:3: unknown key '? …'; remove it (every key is written, with its meaning, to a run's config.yaml)"
        ),
        (
            "lora_rank:8",
            "5:1: not valid YAML: could not find expected ':'; write 'key: value', with a space after the colon"
        ),
        (
            "samples:\n\tsteps: 1",
            "5:1: not valid YAML: found character that cannot start any token; "
                + "a tab stands at the start of the line: indent with spaces"
        ),
        (
            "seed: 1: 2",
            "4:8: not valid YAML: mapping values are not allowed in this context; "
                + "one 'key: value' a line, keys of one level in one column, quotes around text with ': '"
        ),
        (
            "output_name: @x",
            "4:14: not valid YAML: found character that cannot start any token; "
                + "put quotes around text that starts with @, ` or %"
        ),
        ("output_name: *x", "4:14: not valid YAML: found undefined alias; put quotes around text that starts with '*'"),
        ("---\na: 1", "4:1: not valid YAML: but found another document; remove the second '---'"),
    ]

    @Test("one slip, one line", arguments: lines)
    func slips(_ text: String, _ message: String) {
        #expect(problems(smallest + text) == ["c.yaml:" + message])
    }

    @Test("a file without settings says what it needs", arguments: ["", "# only words\n", "---\n", "~", "{}"])
    func empty(_ text: String) {
        let nothing = ["c.yaml: nothing is set; it needs at least base_model, train_data_dir and output_dir"]
        let missing = [
            "c.yaml: 'base_model' is missing; for example base_model: models/SmolLM2-135M-Instruct.Q4_1.gguf",
            "c.yaml: 'output_dir' is missing; for example output_dir: output/helpdesk",
            "c.yaml: 'train_data_dir' is missing; for example train_data_dir: data/train",
        ]
        #expect(problems(text) == (text == "{}" ? missing : nothing))
    }

    @Test("a file that is no group of keys says so")
    func notAMapping() {
        let advice = "expected lines 'key: value' (with a space after the colon), got"
        #expect(problems("- a\n- b") == ["c.yaml:1:1: \(advice) a list"])
        #expect(problems("hello") == ["c.yaml:1:1: \(advice) 'hello'"])
    }

    @Test("an unclear task is asked for")
    func unclearTask() {
        let text = smallest.replacingOccurrences(of: "tiny.gguf", with: "tiny").replacingOccurrences(
            of: ".jsonl", with: "")
        let message =
            "'task_type' cannot be told from the other keys; add task_type: text-generation (or text-to-image)"
        #expect(problems(text) == ["c.yaml: " + message])
    }

    @Test("all problems come at once, by line, the command line's last")
    func allAtOnce() {
        let text = "lora_rnak: 8\nbase_model: a.gguf\nbatch_size: 0\nbatch_size: 3\ntrain_data: b\nepochs: x\n"
        let overrides = ["zork=1", "nonsense", "seed=-1", "target_modules=[a", "max_steps=x"]
        #expect(
            problems(text, overrides: overrides) == [
                "c.yaml:1:1: unknown key 'lora_rnak'; did you mean 'lora_rank'?",
                "c.yaml:3:13: 'batch_size': expected a whole number from 1 to 65536, got '0'; for example batch_size: 4",
                "c.yaml:4:1: 'batch_size' is given twice, first on line 3; keep one",
                "c.yaml:6:9: 'epochs': expected a whole number from 1 to 1000000, got 'x'; for example epochs: 3",
                "c.yaml: 'output_dir' is missing; for example output_dir: output/helpdesk",
                "command line: unknown key 'zork'; remove it (every key is written, with its meaning, to a run's config.yaml)",
                "command line: 'nonsense' is not of the form key=value; for example lora_rank=8",
                "command line: 'seed': expected a whole number of at least 0, got '-1'; for example seed: 42",
                "command line: 'target_modules': '[a' is not valid YAML; for example target_modules=[q_proj, v_proj]",
                "command line: 'max_steps': expected a whole number from 1 to 1000000000, got 'x'; "
                    + "for example max_steps: 1000",
            ])
    }

    @Test("every complaint is one line of printable text")
    func oneLine() {
        for text in ["output_name: \"a\\nb\\u2028{\\ax}\"", "\"k\\ney\": 1", "lora_rank: |\n  a\n  b\n"] {
            let lines = problems(smallest + text)
            #expect(lines.count == 1)
            #expect(
                lines.allSatisfy { !$0.unicodeScalars.contains { $0.value < 32 || $0.value == 0x2028 } }, "\(lines)")
        }
    }

    @Test("files that are missing, folders, too large or not text are named")
    func files() throws {
        try withTemporaryFolder { folder in
            func problem(_ name: String) -> String {
                do throws(ConfigurationError) {
                    _ = try Configuration.load(folder.path + "/" + name)
                    return ""
                } catch { return error.description.replacingOccurrences(of: folder.path + "/", with: "") }
            }
            #expect(problem("none.yaml") == "none.yaml: there is no such file; give the path of a YAML file")
            #expect(problem("") == ": this is a folder; give the path of a YAML file")
            try Data(count: (1 << 20) + 1).write(to: folder.appendingPathComponent("big.yaml"))
            #expect(problem("big.yaml") == "big.yaml: larger than 1 MiB; this is not a run's configuration")
            try Data([0x61, 0xFF, 0xFE]).write(to: folder.appendingPathComponent("bytes.yaml"))
            #expect(problem("bytes.yaml") == "bytes.yaml: not UTF-8 text; save the file as plain UTF-8 text")
            try Data(smallest.utf8).write(to: folder.appendingPathComponent("c.yaml"))
            let missing = problem("c.yaml").split(separator: "\n")
            let models = ModelCatalogue.entries.map(\.name).joined(separator: ", ")
            #expect(
                missing == [
                    "c.yaml:1:13: 'base_model': no such file or folder: 'models/tiny.gguf', looked in the file's folder "
                        + "and the working directory; check the path, or name a model that lora can fetch: \(models)",
                    "c.yaml:2:17: 'train_data_dir': no such file or folder: 'data/train.jsonl', looked in the file's "
                        + "folder and the working directory; check the path",
                ])
        }
    }

    @Test("a byte-order mark and Windows line ends are tolerated")
    func lineEnds() {
        #expect(problems("\u{FEFF}" + smallest.replacingOccurrences(of: "\n", with: "\r\n")).isEmpty)
    }
}
