// From YAML to a configuration: keys are looked up in the closed list, every problem is kept, none ends the reading.

import Foundation

extension Configuration {
    /// No configuration is larger; a larger file is something else.
    private static let mostBytes = 1 << 20

    /// Reads a configuration file, with `key=value` overrides from the command line.
    ///
    /// Paths in the file are taken from the file's folder if they exist there, else from the working directory; they
    /// must exist unless `checkingPaths` is false. `output_dir` is taken from the working directory.
    public static func load(
        _ path: String, overrides: [String] = [], checkingPaths: Bool = true
    ) throws(ConfigurationError) -> Configuration {
        let folder = (path as NSString).deletingLastPathComponent
        let lookup = checkingPaths ? PathLookup(folder: folder) : .asWritten
        return try parse(text(of: path), source: path, overrides: overrides, paths: lookup)
    }

    /// Reads the text of a configuration file that is called `source`.
    public static func parse(
        _ text: String, source: String, overrides: [String] = [], paths: PathLookup = .asWritten
    ) throws(ConfigurationError) -> Configuration {
        var reader = try ConfigurationReader(text, source: source, paths: paths)
        reader.readFile(without: Set(overrides.map { $0.prefix { $0 != "=" }.trimmingCharacters(in: .whitespaces) }))
        for override in overrides { reader.readOverride(override) }
        return try reader.finish()
    }

    private static func text(of path: String) throws(ConfigurationError) -> String {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
            throw ConfigurationError(path, nil, "there is no such file; give the path of a YAML file")
        }
        guard !isFolder.boolValue else {
            throw ConfigurationError(path, nil, "this is a folder; give the path of a YAML file")
        }
        let size = (try? FileManager.default.attributesOfItem(atPath: path)[.size] as? Int) ?? 0
        guard size <= mostBytes else {
            throw ConfigurationError(path, nil, "larger than 1 MiB; this is not a run's configuration")
        }
        guard let bytes = FileManager.default.contents(atPath: path) else {
            throw ConfigurationError(path, nil, "cannot be read; check the file's permissions")
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw ConfigurationError(path, nil, "not UTF-8 text; save the file as plain UTF-8 text")
        }
        return text
    }
}

/// What was read so far.
struct ConfigurationReader {
    var configuration = Configuration()
    var problems: [ConfigurationProblem]
    /// Keys that were given a value, and where.
    var given: [String: (source: String, position: Position?)] = [:]
    let source: String
    let paths: PathLookup
    private let entries: [LocatedValue.Entry]

    init(_ text: String, source: String, paths: PathLookup) throws(ConfigurationError) {
        let clean = text.replacingOccurrences(of: "\r\n", with: "\n")
        let document = try YAMLDocument(clean.hasPrefix("\u{FEFF}") ? String(clean.dropFirst()) : clean, source: source)
        (entries, problems) = (document.entries, document.problems)
        (self.source, self.paths) = (source, paths)
    }

    /// Reads the file's keys but those that the command line gives.
    mutating func readFile(without overridden: Set<String>) {
        for entry in entries where !overridden.contains(entry.key) { read(entry, group: nil) }
    }

    /// Reads one `key=value` of the command line, which wins over the file.
    mutating func readOverride(_ text: String) {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2 else {
            return report(nil, nil, "\(quoted(text)) is not of the form key=value; for example lora_rank=8")
        }
        let key = parts[0].trimmingCharacters(in: .whitespaces)
        let setting = Settings.byKey[key == Settings.trainDataAlias ? "train_data_dir" : key]
        let asText = LocatedValue(content: .scalar(parts[1], isPlain: true), position: nil)
        guard let value = setting?.isText == true && !parts[1].isEmpty ? asText : YAMLDocument.value(parts[1]) else {
            return report(
                nil, nil,
                "'\(key)': \(quoted(parts[1])) is not valid YAML; for example \(key)=\(setting?.example ?? "8")")
        }
        if key == Settings.trainDataAlias { given["train_data_dir"] = nil }
        if key == "warmup_ratio" { drop("warmup_steps", \.schedule.warmupSteps) }
        if key == "warmup_steps" { drop("warmup_ratio", \.schedule.warmupRatio) }
        read(LocatedValue.Entry(key: key, keyPosition: nil, value: value), group: nil, isOverride: true)
    }

    private mutating func drop<Value>(_ key: String, _ path: WritableKeyPath<Configuration, Value?>) {
        given[key] = nil
        configuration[keyPath: path] = nil
    }

    // MARK: - One key

    private mutating func read(_ entry: LocatedValue.Entry, group: String?, isOverride: Bool = false) {
        let source = isOverride ? nil : self.source
        if group == nil, Settings.groups.contains(entry.key) { return readGroup(entry, source: source) }
        let name = group.map { "\($0).\(entry.key)" } ?? entry.key
        let key = name == Settings.trainDataAlias ? "train_data_dir" : name
        guard let setting = Settings.byKey[key] else {
            return report(source, entry.keyPosition, UnknownKey.message(entry, group: group))
        }
        if case .null = entry.value.content { return reset(setting, isOverride: isOverride) }
        if !isOverride, given[key] != nil {
            return report(source, entry.keyPosition, "'train_data' and 'train_data_dir' mean the same; keep one")
        }
        given[key] = (source ?? ConfigurationProblem.commandLine, entry.value.position)
        var value = entry.value
        if setting.isPath, let text = value.text {
            value.content = .scalar(found(text, for: setting, entry, isOverride), isPlain: true)
        }
        if setting.isPath || setting.key == "output_dir", value.text == "" { value.content = .null }
        guard setting.read(value, &configuration) else {
            return report(source, entry.value.position, mismatch(setting, written: name, value))
        }
    }

    private mutating func readGroup(_ entry: LocatedValue.Entry, source: String?) {
        switch entry.value.content {
        case .null: return
        case .mapping(let entries):
            for inner in entries { read(inner, group: entry.key) }
        case .scalar, .list:
            let message =
                "'\(entry.key)': expected a group of keys, got \(entry.value.found); write \(entry.key): and"
                + " below it, indented, prompts: [\"What is LoRA?\"]"
            report(source, entry.value.position, message)
        }
    }

    /// An override without a value takes back what the file says.
    private mutating func reset(_ setting: Setting, isOverride: Bool) {
        guard isOverride, given.removeValue(forKey: setting.key) != nil else { return }
        setting.restore(Configuration(), &configuration)
    }

    /// The path as it can be used, reported where nothing is there.
    private mutating func found(
        _ text: String, for setting: Setting, _ entry: LocatedValue.Entry, _ isOverride: Bool
    ) -> String {
        guard !text.isEmpty else { return text }
        if let path = paths.find(text, besideFile: !isOverride) { return path }
        let isModel = setting.key == "base_model"
        if isModel, ModelCatalogue.entries.contains(where: { $0.name == text }) { return text }
        let places =
            isOverride || paths.isInWorkingDirectory
            ? "the working directory" : "the file's folder and the working directory"
        let named = ModelCatalogue.entries.map(\.name).joined(separator: ", ")
        let advice = isModel ? "check the path, or name a model that lora can fetch: \(named)" : "check the path"
        let message = "'\(entry.key)': no such file or folder: \(quoted(text)), looked in \(places); \(advice)"
        report(isOverride ? nil : source, entry.value.position, message)
        return text
    }

    private func mismatch(_ setting: Setting, written name: String, _ value: LocatedValue) -> String {
        let shortName = name.split(separator: ".").last.map(String.init) ?? name
        var message = "'\(name)': expected \(setting.expected), got \(value.found)"
        if case .scalar(let text, isPlain: false) = value.content {
            let plain = LocatedValue(content: .scalar(text, isPlain: true), position: nil)
            var scratch = Configuration()
            if setting.read(plain, &scratch) { return message + " in quotes; remove the quotes" }
        }
        if let text = value.text, let choice = nearest(to: text, among: setting.choices) {
            message += "; did you mean '\(choice)'?"
        } else {
            message += "; for example \(shortName): \(setting.example)"
        }
        return message
    }

    /// Keeps a problem; without a source it is the command line's.
    mutating func report(_ source: String?, _ position: Position?, _ message: String) {
        let source = source ?? ConfigurationProblem.commandLine
        problems.append(ConfigurationProblem(source: source, position: position, message: message))
    }
}

/// What to say about a key that is not in the list.
private enum UnknownKey {
    static func message(_ entry: LocatedValue.Entry, group: String?) -> String {
        let shown = quoted(entry.key)
        if let group { return inGroup(entry.key, group) }
        for name in Settings.groups.sorted() where Settings.byKey["\(name).\(entry.key)"] != nil {
            return "\(shown) belongs in the group '\(name)': indent it below '\(name):'"
        }
        if let ours = Settings.names[entry.key.lowercased()] {
            return "unknown key \(shown); here it is called '\(ours)'"
        }
        if case .mapping(let inner) = entry.value.content, inner.contains(where: { Settings.byKey[$0.key] != nil }) {
            return "unknown key \(shown); keys are not grouped: move the keys below it to the top level"
        }
        let candidates =
            Settings.all.map(\.key).filter { !$0.contains(".") } + Settings.groups + [Settings.trainDataAlias]
        if let near = nearest(to: entry.key, among: candidates) {
            return "unknown key \(shown); did you mean '\(near)'?"
        }
        return "unknown key \(shown); remove it (every key is written, with its meaning, to a run's config.yaml)"
    }

    private static func inGroup(_ key: String, _ group: String) -> String {
        if Settings.byKey[key] != nil { return "'\(key)' belongs at the top level, not in '\(group)'" }
        let known = Settings.all.map(\.key).filter { $0.hasPrefix(group + ".") }.map {
            String($0.dropFirst(group.count + 1))
        }
        if let near = nearest(to: key, among: known) {
            return "unknown key \(quoted(key)) in '\(group)'; did you mean '\(near)'?"
        }
        return "unknown key \(quoted(key)) in '\(group)'; known: \(known.joined(separator: ", "))"
    }
}
