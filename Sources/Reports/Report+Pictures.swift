// What a report says of a run over pictures where it differs from one over text.

import Foundation
import Runs

extension Report {
    /// The newest grid of prompts and strengths, and where the earlier ones are.
    var grids: [String] {
        let grids = history.samples.filter { $0.path != nil }
        guard let newest = grids.last, let path = newest.path else { return [] }
        let words = language(
            "Every row has one prompt, and every picture starts from the same noise; columns differ by the adapter's strength.",
            "每行使用同一提示词,所有图片从同一噪声开始;各列仅适配器的强度不同。")
        var parts = [
            language("## Samples", "## 样例") + language(" (step \(newest.step))", "(第 \(newest.step) 步)"), words,
            "![\(language("Prompts by strength", "提示词与强度"))](\(Self.link(path)))",
        ]
        let earlier = grids.dropLast().suffix(12).compactMap { grid in
            grid.path.map { "[\(language("step", "第")) \(grid.step)\(language("", " 步"))](\(Self.link($0)))" }
        }
        if !earlier.isEmpty {
            parts.append(language("Earlier: ", "此前:") + earlier.joined(separator: language(", ", "、")))
        }
        return parts
    }

    private static func link(_ path: String) -> String {
        path.addingPercentEncoding(withAllowedCharacters: .urlPathAllowed) ?? path
    }

    /// The data in a line.
    func line(_ data: DataFacts, _ pictures: PictureFacts) -> String {
        let (count, side) = (Numbers.count(data.samples), pictures.resolution)
        let format = Markdown.escaped(data.format)
        return language("\(count) pictures at \(side) px (\(format))", "\(count) 张图片,\(side) 像素(\(format))")
    }

    /// What was trained on.
    func pictureSection(_ data: DataFacts, _ pictures: PictureFacts) -> [String] {
        let sizes = pictures.buckets.prefix(12).map { "\($0.width) × \($0.height): \($0.count)" }
        let more = pictures.buckets.count - sizes.count
        var rows = [
            [language("Format", "格式"), Markdown.escaped(data.format)],
            [language("Pictures", "图片"), Numbers.count(data.samples)],
            [language("Uses of an epoch", "每轮使用次数"), Numbers.count(pictures.uses)],
            [
                language("Sizes", "尺寸"),
                sizes.joined(separator: language(", ", "、")) + (more > 0 ? " (+ \(more))" : ""),
            ],
        ]
        if pictures.regularisation > 0 {
            rows.append([language("Regularisation pictures", "正则化图片"), Numbers.count(pictures.regularisation)])
        }
        if let word = pictures.triggerWord { rows.append([language("Trigger word", "触发词"), Markdown.code(word)]) }
        if pictures.cutCaptions > 0 {
            rows.append([language("Captions cut to fit", "被截断的描述"), Numbers.count(pictures.cutCaptions)])
        }
        var parts = [language("## Data", "## 数据"), pairs(rows)]
        if !pictures.pairs.isEmpty {
            let columns = [
                Markdown.Column(heading: language("Picture", "图片")), .init(heading: language("Caption", "描述")),
            ]
            parts.append(
                Markdown.table(columns, pictures.pairs.map { [Markdown.code($0.file), Markdown.cell($0.caption)] }))
        }
        return parts
    }

    /// Lines to copy that use the adapter.
    func pictureUsage(_ pictures: PictureFacts) -> [String] {
        guard let file = adapterFile, let base = value("base_model") ?? facts.base?.files.first?.path else { return [] }
        let name = (file.path.split(separator: "/").last ?? "").replacing(".safetensors", with: "")
        let asked = value("samples.prompts").map { Markdown.lines($0).first ?? "" } ?? ""
        let example = pictures.pairs.first?.caption ?? pictures.triggerWord ?? asked
        let prompt = "\(example) <lora:\(name):0.8>"
        let command = [
            "./lora sample --base", base.shellWord, "--lora-dir", runPath.shellWord, "--prompt", prompt.shellWord,
            samplingOptions, "-o picture.png",
        ].joined(separator: " ")
        let folder = runPath == "." ? "." : runPath
        let guidance = value("samples.guidance_scale").map { "guidance_scale=\($0), " } ?? ""
        let python = """
            from diffusers import StableDiffusionPipeline

            pipe = StableDiffusionPipeline.\(loader(base))
            pipe.load_lora_weights(\(Markdown.python(folder)), weight_name=\(Markdown.python(file.path)))
            pipe(\(Markdown.python(example)), \(guidance)cross_attention_kwargs={"scale": 0.8}).images[0].save("picture.png")
            """
        return [
            language("## How to use", "## 如何使用"),
            language(
                "AUTOMATIC1111, Forge: copy `\(file.path)` into `models/Lora`, with its `.json` and `.png`; ComfyUI: into"
                    + " `models/loras`. Then write into the prompt:",
                "AUTOMATIC1111、Forge:把 `\(file.path)` 连同 `.json` 与 `.png` 复制到 `models/Lora`;ComfyUI:复制到"
                    + " `models/loras`。然后在提示词中写:"),
            Markdown.block(prompt, "text"),
            language("With `lora`, where the run was started:", "使用 `lora`(在启动训练的目录中):"),
            Markdown.block(command, "bash"), language("With diffusers:", "使用 diffusers:"),
            Markdown.block(python, "python"),
        ]
    }

    /// What the run's own samples were made with, where it is not the default.
    private var samplingOptions: String {
        let options = [
            ("samples.guidance_scale", "--guidance", "7.5"), ("samples.sampler", "--sampler", "dpmpp_2m"),
            ("samples.sampling_steps", "--steps", "25"), ("clip_skip", "--clip-skip", "1"),
            ("prediction_type", "--prediction", ""), ("vae", "--vae", ""),
        ]
        var words = options.compactMap { key, option, usual in
            value(key).flatMap { $0 == usual ? nil : "\(option) \($0.shellWord)" }
        }
        if value("zero_terminal_snr") == "true" { words.append("--zero-terminal-snr") }
        return words.joined(separator: " ")
    }

    private func loader(_ base: String) -> String {
        let isFile = [".safetensors", ".ckpt"].contains { base.lowercased().hasSuffix($0) }
        return "\(isFile ? "from_single_file" : "from_pretrained")(\(Markdown.python(base)))"
    }
}
