// Whether the output folder is free, holds this run, or holds something else; nothing there is changed.

import Formats
import Foundation
import Runs

extension Diagnosis {
    /// Says what training would find in its output folder.
    mutating func checkOutput(_ configuration: Configuration, _ base: PlannedBase, _ data: TextData) {
        let path = configuration.run.outputDirectory
        let layout = RunLayout(URL(fileURLWithPath: path, isDirectory: true))
        let what = "output folder"
        guard FileManager.default.fileExists(atPath: layout.folder.path) else {
            return ok(what, "\(path) is free; the run will create it")
        }
        guard FileManager.default.fileExists(atPath: layout.facts.path) else { return checkForeign(layout, path) }
        let found = attempt(what) { () throws -> (RunFacts, RunIdentity) in
            let facts = try layout.readFacts()
            let files = try Self.knownFiles(facts.base?.files) ?? base.found.files()
            return (facts, RunIdentity(configuration: configuration, base: files, data: data.files))
        }
        guard let (facts, identity) = found else { return }
        if facts.identity != identity.hash {
            let shown = Self.differences(try? layout.readConfiguration(), configuration)
            return fail(what, "\(path) holds another run: \(shown)", "choose another output_dir")
        }
        if facts.state == "done" {
            return warn(what, "\(path) holds this run, done", "choose another output_dir to train once more")
        }
        let step = layout.checkpoints.newest.map { "after step \($0.step)" } ?? "from the start"
        if isInUse(layout.folder) {
            warn(what, "\(path): another process is training this run", "wait for it to end")
        } else {
            ok(what, "\(path) holds this run, unfinished; it will go on \(step)")
        }
    }

    /// The files of an earlier run where their sizes still agree, so that large models are not hashed again.
    private static func knownFiles(_ files: [FileFact]?) -> [FileFact]? {
        guard let files, !files.isEmpty else { return nil }
        let agree = files.allSatisfy { file in
            (try? FileManager.default.attributesOfItem(atPath: file.path)[.size] as? Int) == file.bytes
        }
        return agree ? files : nil
    }

    /// The settings that make it another run, as far as the folder tells.
    private static func differences(_ earlier: Configuration?, _ now: Configuration) -> String {
        let found = (earlier?.differences(to: now) ?? []).filter(\.shapesResult).prefix(4)
        guard !found.isEmpty else { return "its base model or data had other contents" }
        return found.map { "\($0.key) was \($0.values.0), is \($0.values.1)" }.joined(separator: ", ")
    }

    private mutating func checkForeign(_ layout: RunLayout, _ path: String) {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: layout.folder.path)) ?? []
        // What a run leaves that was killed before it began.
        let harmless = ["logs", "samples", "checkpoints", ".lock", ".DS_Store"]
        let others = names.filter { !harmless.contains($0) && !$0.hasSuffix(".partial") }.sorted()
        guard !others.isEmpty else { return ok("output folder", "\(path) is empty") }
        let shown = others.prefix(4).joined(separator: ", ") + (others.count > 4 ? " …" : "")
        fail("output folder", "\(path) holds \(shown) and no run", "choose a new or empty output_dir")
    }

    private func isInUse(_ folder: URL) -> Bool {
        let descriptor = open(folder.appendingPathComponent(".lock").path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return flock(descriptor, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK
    }
}
