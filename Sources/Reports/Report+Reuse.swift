// The end of the report: how to use the adapter, how to repeat the run.

import Foundation
import Runs

extension Report {
    /// Lines to copy that load the adapter.
    var usage: [String] {
        if let pictures = facts.data?.pictures { return pictureUsage(pictures) }
        guard let adapter = adapterFolder else { return [] }
        guard let base = value("base_model") ?? facts.base?.files.first?.path else { return [] }
        let prompt = Markdown.lines(history.samples.first?.prompt ?? language("Hello!", "你好!")).first ?? ""
        let command = [
            "./lora generate --base", base.shellWord, "--adapter", adapter.shellWord,
            facts.data?.isRaw == true ? "--raw --prompt" : "--prompt", prompt.shellWord,
        ].joined(separator: " ")
        var parts = [
            language("## How to use", "## 如何使用"),
            language("With `lora`, where the run was started:", "使用 `lora`(在启动训练的目录中):"),
            Markdown.block(command, "bash"),
            language("With PEFT:", "使用 PEFT:"), Markdown.block(pythonLines(base: base, adapter: adapter), "python"),
        ]
        if base.lowercased().hasSuffix(".gguf") {
            parts.append(
                language(
                    "transformers reads GGUF files with the package `gguf` and expands the weights to 32 bits.",
                    "transformers 借助 `gguf` 包读取 GGUF 文件,并把权重展开为 32 位。"))
        }
        return parts
    }

    private func pythonLines(base: String, adapter: String) -> String {
        var load = Markdown.python(base)
        if base.lowercased().hasSuffix(".gguf") {
            let parts = base.split(separator: "/", omittingEmptySubsequences: false)
            let folder = parts.count > 1 ? parts.dropLast().joined(separator: "/") : "."
            load = "\(Markdown.python(folder)), gguf_file=\(Markdown.python(String(parts.last ?? "")))"
        }
        let hasTokenizer = facts.outputs.contains { $0.path.hasSuffix("tokenizer.json") }
        return """
            from peft import PeftModel
            from transformers import AutoModelForCausalLM, AutoTokenizer

            tokenizer = AutoTokenizer.from_pretrained(\(hasTokenizer ? Markdown.python(adapter) : load))
            base = AutoModelForCausalLM.from_pretrained(\(load))
            model = PeftModel.from_pretrained(base, \(Markdown.python(adapter)))
            """
    }

    /// The folder of the adapter as one types it where the run was started: the final one, else the newest checkpoint.
    private var adapterFolder: String? {
        let path: String
        if let file = adapterFile {
            path = file.path.split(separator: "/").dropLast().joined(separator: "/")
        } else if let checkpoint = history.lastCheckpoint?.path {
            path =
                checkpoint.hasSuffix(".safetensors")
                ? checkpoint.split(separator: "/").dropLast().joined(separator: "/") : checkpoint
        } else {
            return nil
        }
        let parts = [runPath == "." ? "" : runPath, path].filter { !$0.isEmpty }
        return parts.isEmpty ? "." : parts.joined(separator: "/")
    }

    /// The command, the versions, the hashes.
    var reproduction: [String] {
        var parts = [language("## How to reproduce", "## 如何复现"), Markdown.block(facts.command, "bash")]
        var rows: [[String]] = []
        if let machine = facts.machine {
            rows.append([language("Program", "程序"), Markdown.escaped(machine.program)])
            rows.append([language("Engine", "引擎"), Markdown.escaped(machine.engine)])
        }
        if let seed = value("seed") { rows.append([language("Seed", "随机种子"), Markdown.escaped(seed)]) }
        rows.append([
            language("Identity of the run (base, data, configuration)", "运行标识(模型、数据、配置)"),
            Markdown.code(facts.identity),
        ])
        parts.append(pairs(rows))
        parts += fileTable
        if adapterFile != nil, facts.data?.pictures != nil {
            parts.append(
                language(
                    "A repeated run gives the same numbers; its file differs from this one by the dates it holds, and has the same `sshs_model_hash`.",
                    "重跑会得到相同的数值;文件只因其中的日期而不同,`sshs_model_hash` 相同。"))
        } else if adapterFile != nil {
            parts.append(
                language(
                    "A repeated run is the same if its adapter has the SHA-256 above; another device or version may round differently.",
                    "若重跑所得适配器的 SHA-256 与上表一致,则结果相同;换设备或版本时,舍入可能不同。"))
        }
        if !config.isEmpty {
            let lines = config.map { "\($0.key): \(Markdown.lines($0.value).joined(separator: " "))" }.joined(
                separator: "\n")
            let title = language("The configuration as run", "实际使用的配置")
            parts.append(
                "<details><summary>\(title) (<a href=\"config.yaml\">config.yaml</a>)</summary>\n\n\(Markdown.block(lines, "yaml"))\n\n</details>"
            )
        }
        return parts
    }

    private var fileTable: [String] {
        let groups = [
            (language("base", "基础模型"), facts.base?.files ?? []), (language("data", "数据"), facts.data?.files ?? []),
            (language("result", "结果"), facts.outputs),
        ]
        let rows = groups.flatMap { role, files in
            files.prefix(20).map { [role, Markdown.code($0.path), Numbers.bytes($0.bytes), Markdown.code($0.sha256)] }
                + (files.count > 20
                    ? [[role, language("and \(files.count - 20) more", "另有 \(files.count - 20) 个"), "", ""]] : [])
        }
        guard !rows.isEmpty else { return [] }
        let columns = [
            Markdown.Column(heading: language("Role", "用途")), .init(heading: language("File", "文件")),
            .init(heading: language("Size", "大小"), isNumber: true), .init(heading: "SHA-256"),
        ]
        return [Markdown.table(columns, rows)]
    }
}
