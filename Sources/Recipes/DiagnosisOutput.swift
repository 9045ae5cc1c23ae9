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
        guard FileManager.default.fileExists(atPath: layout.facts.path) else {
            if attempt(what, { try layout.refuseForeignFiles() }) != nil { ok(what, "\(path) is empty") }
            return
        }
        let found = attempt(what) { () throws -> (RunFacts, RunIdentity) in
            let facts = try layout.readFacts()
            let files = try Self.knownFiles(facts.base?.files) ?? base.found.files()
            return (facts, RunIdentity(configuration: configuration, base: files, data: data.files))
        }
        guard let (facts, identity) = found else { return }
        if facts.identity != identity.hash {
            guard (try? layout.holdsWork()) ?? true else {
                return ok(what, "\(path) holds another run that never made a step; it will be replaced")
            }
            let shown = layout.differences(identity, facts).prefix(4).joined(separator: ", ")
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

    private func isInUse(_ folder: URL) -> Bool {
        let descriptor = open(folder.appendingPathComponent(".lock").path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return flock(descriptor, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK
    }
}
