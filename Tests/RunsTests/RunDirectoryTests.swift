// Run folders: created, gone on with, refused; nothing that was there is lost.

import Foundation
import TestSupport
import Testing

@testable import Runs

@Suite("A run folder")
struct RunDirectoryTests {
    private func identity(_ folder: URL, _ change: (inout Configuration) -> Void = { _ in }, data: String = "d")
        -> RunIdentity
    {
        var configuration = Configuration(
            baseModel: "tiny.gguf", trainData: "train.jsonl", outputDirectory: folder.appendingPathComponent("run").path
        )
        change(&configuration)
        return RunIdentity(
            configuration: configuration, base: [FileFact(path: "tiny.gguf", bytes: 1, sha256: "b")],
            data: [FileFact(path: "train.jsonl", bytes: 1, sha256: data)])
    }

    /// The error's one line, with the temporary folder's name taken out.
    private func complaint(_ folder: URL, _ body: () throws -> Void) -> String {
        do {
            try body()
            return ""
        } catch { return "\(error)".replacingOccurrences(of: folder.path + "/", with: "") }
    }

    private func names(_ folder: URL) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
    }

    @Test("is created with everything in its place, and read without being opened")
    func created() throws {
        try withTemporaryFolder { folder in
            let identity = identity(folder)
            let run = try RunDirectory(identity, command: "lora train config.yaml")
            #expect(run.opening == .created)
            try run.updateFacts {
                $0.adapter = AdapterFacts(modules: ["q_proj": 30, "toQ": 1], parameters: 7, scale: 2)
            }
            #expect(
                try names(run.layout.folder) == [
                    ".lock", "checkpoints", "config.yaml", "events.jsonl", "facts.json", "logs", "samples",
                ])
            let seen = RunLayout(run.layout.folder)
            #expect(try seen.readFacts() == run.facts)
            #expect(try seen.readConfiguration() == identity.configuration)
            #expect(try seen.readEvents().isEmpty)
            #expect(run.facts.identity == identity.hash)
        }
    }

    @Test("of the same run is gone on with, of a finished run left alone")
    func again() throws {
        try withTemporaryFolder { folder in
            var run: RunDirectory? = try RunDirectory(identity(folder), command: "first")
            try run?.events.append(TrainingEvent(.step, step: 1, epoch: 0.5, time: 1))
            try run?.updateFacts { $0.state = "interrupted" }
            run = nil
            let other = identity(folder) { ($0.run.saveSteps, $0.run.device) = (7, .cpu) }
            run = try RunDirectory(other, command: "second")
            #expect(run?.opening == .unfinished)
            #expect(run?.facts.command == "first")
            #expect(run?.facts.state == "running")
            #expect(try run?.layout.readConfiguration().run.saveSteps == 7)
            #expect(try run?.layout.readEvents().count == 1)
            try run?.updateFacts { $0.state = "done" }
            run = nil
            run = try RunDirectory(identity(folder), command: "third")
            #expect(run?.opening == .finished)
            #expect(try run?.layout.readConfiguration().run.saveSteps == 7)
        }
    }

    @Test("of another run is refused, with what differs")
    func otherRun() throws {
        try withTemporaryFolder { folder in
            var run: RunDirectory? = try RunDirectory(identity(folder), command: "first")
            let base = BaseFacts(
                name: "tiny", architecture: "llama", parameters: 1, storage: "F32", files: identity(folder).base)
            try run?.updateFacts { $0.base = base }
            try run?.events.append(TrainingEvent(.step, step: 1, epoch: 0))
            run = nil
            let facts = try Data(contentsOf: folder.appendingPathComponent("run/facts.json"))
            let changed = identity(folder) { ($0.adapter.rank, $0.schedule.maxSteps, $0.run.device) = (4, 9, .cpu) }
            #expect(
                complaint(folder) { _ = try RunDirectory(changed, command: "second") }
                    == "output_dir run: holds another run: lora_rank was 8, is 4, max_steps was ~, is 9; nothing was "
                    + "changed; choose another output_dir for this run, or undo the differences to go on with that one")
            #expect(
                complaint(folder) { _ = try RunDirectory(identity(folder, data: "e"), command: "second") }
                    == "output_dir run: holds another run: the contents or names of its base model or data were different; "
                    + "nothing was changed; choose another output_dir for this run, or undo the differences to go on with that one"
            )
            #expect(try Data(contentsOf: folder.appendingPathComponent("run/facts.json")) == facts)
            #expect(RunError.otherRun(path: "", differences: []).exitStatus == 2)
        }
    }

    @Test("that never made a step gives way to a corrected configuration")
    func correctedRun() throws {
        try withTemporaryFolder { folder in
            var run: RunDirectory? = try RunDirectory(identity(folder), command: "first")
            try run?.events.append(TrainingEvent(.start, step: 0, epoch: 0))
            run = nil
            let corrected = identity(folder) { $0.adapter.targetModules = ["q_proj"] }
            run = try RunDirectory(corrected, command: "second")
            #expect(run?.opening == .created)
            #expect(run?.facts.identity == corrected.hash)
        }
    }

    @Test("names the file whose contents changed")
    func changedFile() {
        let earlier = RunFacts(command: "", identity: "")
        var facts = earlier
        facts.data = DataFacts(
            format: "", files: [FileFact(path: "a", bytes: 1, sha256: "1")], samples: 0, tokens: 0, supervisedTokens: 0,
            shortest: 0, median: 0, longest: 0, truncated: 0, split: 0, dropped: 0, warnings: [])
        let now = identity(URL(fileURLWithPath: "/tmp"), data: "2")
        #expect(now.differences(from: now.configuration, facts) == ["train.jsonl has other contents"])
    }

    @Test("with foreign files in it is left as it is")
    func foreign() throws {
        try withTemporaryFolder { folder in
            let run = folder.appendingPathComponent("run")
            try FileManager.default.createDirectory(at: run, withIntermediateDirectories: true)
            for name in ["config.yaml", "thesis.txt"] {
                try Data("mine".utf8).write(to: run.appendingPathComponent(name))
            }
            #expect(
                complaint(folder) { _ = try RunDirectory(identity(folder), command: "") }
                    == "output_dir run: holds config.yaml, thesis.txt and no run; nothing was changed; "
                    + "choose a new or empty folder")
            #expect(try names(run) == ["config.yaml", "thesis.txt"])
            #expect(
                complaint(folder) { _ = try RunLayout(run).readFacts() }.hasSuffix(
                    "run: holds no run (there is no facts.json); give the output_dir of a run"))
        }
    }

    @Test("may not be a file, nor lie below one")
    func notAFolder() throws {
        try withTemporaryFolder { folder in
            try Data().write(to: folder.appendingPathComponent("run"))
            #expect(
                complaint(folder) { _ = try RunDirectory(identity(folder), command: "") }
                    == "output_dir run: this is a file, not a folder; choose another output_dir")
            let below = identity(folder) { $0.run.outputDirectory += "/below" }
            #expect(
                complaint(folder) { _ = try RunDirectory(below, command: "") }.hasPrefix(
                    "run/below: cannot create the folder: a part of the path is a file"))
        }
    }

    @Test("that was killed while it was made is made again")
    func unborn() throws {
        try withTemporaryFolder { folder in
            let run = folder.appendingPathComponent("run")
            try FileManager.default.createDirectory(
                at: run.appendingPathComponent("logs"), withIntermediateDirectories: true)
            for name in [".lock", ".facts.json.1-x.partial"] {
                try Data("1\n".utf8).write(to: run.appendingPathComponent(name))
            }
            let made = try RunDirectory(identity(folder), command: "")
            #expect(made.opening == .created)
            #expect(try !names(run).contains(".facts.json.1-x.partial"))
        }
    }

    @Test("belongs to one process at a time")
    func locked() throws {
        try withTemporaryFolder { folder in
            let run = try RunDirectory(identity(folder), command: "")
            #expect(
                complaint(folder) { _ = try RunDirectory(identity(folder), command: "") }
                    == "output_dir run: in use by process \(getpid()); wait for it to end, stop it "
                    + "(kill -INT \(getpid())) or choose another output_dir")
            #expect(run.opening == .created)
        }
    }

    @Test("with damaged facts is refused, not overwritten")
    func damagedFacts() throws {
        try withTemporaryFolder { folder in
            _ = try RunDirectory(identity(folder), command: "")
            let facts = folder.appendingPathComponent("run/facts.json")
            for (text, reason) in [
                ("{", "not valid JSON"), ("{}", "'command' is missing"), ("[]", "'' has the wrong type"),
            ] {
                try Data(text.utf8).write(to: facts)
                #expect(
                    complaint(folder) { _ = try RunDirectory(identity(folder), command: "") }
                        == "run/facts.json: not the facts of a run (\(reason)); choose another output_dir, "
                        + "or restore the file")
                #expect(try Data(contentsOf: facts) == Data(text.utf8))
            }
        }
    }
}

@Suite("Events")
struct EventLogTests {
    private func event(_ step: Int) -> TrainingEvent {
        var event = TrainingEvent(.step, step: step, epoch: Double(step) / 3, time: 1_700_000_000.123456)
        (event.loss, event.learningRate, event.memoryMib) = (0.1 + 0.2, 2e-4, 512)
        return event
    }

    @Test("are one line each, keys sorted, numbers in full")
    func spelling() throws {
        try withTemporaryFolder { folder in
            let url = folder.appendingPathComponent("events.jsonl")
            let log = try EventLog(url)
            try log.append(event(1))
            var sample = TrainingEvent(.sample, step: 1, epoch: 0, time: 0)
            (sample.text, sample.path, sample.loss) = ("a\nb/\"c\" 中", "samples/1.txt", .nan)
            try log.append(sample)
            #expect(
                try String(contentsOf: url, encoding: .utf8) == """
                    {"epoch":0.3333333333333333,"learning_rate":0.0002,"loss":0.30000000000000004,"memory_mib":512,\
                    "step":1,"time":1700000000.123456,"type":"step"}
                    {"epoch":0,"loss":"nan","path":"samples/1.txt","step":1,"text":"a\\nb/\\"c\\" 中","time":0,"type":"sample"}

                    """)
            let read = try EventLog.read(url)
            #expect(read[0] == event(1))
            #expect(read[1].loss?.isNaN == true)
            #expect(read[1].text == sample.text)
        }
    }

    @Test("survive a half-written last line, which is cut off before more is added")
    func halfLine() throws {
        try withTemporaryFolder { folder in
            let url = folder.appendingPathComponent("events.jsonl")
            try EventLog(url).append(event(1))
            let whole = try Data(contentsOf: url)
            for rest in [Data("{\"step\":2".utf8), Data(repeating: 97, count: 10_000)] {
                try (whole + rest).write(to: url)
                #expect(try EventLog.read(url) == [event(1)])
                let log = try EventLog(url)
                #expect(try Data(contentsOf: url) == whole)
                try log.append(event(2))
                #expect(try EventLog.read(url) == [event(1), event(2)])
            }
            try Data("half".utf8).write(to: url)
            _ = try EventLog(url)
            #expect(try Data(contentsOf: url).isEmpty)
        }
    }

    @Test("after a step are taken back, and more can be added")
    func truncated() throws {
        try withTemporaryFolder { folder in
            let url = folder.appendingPathComponent("events.jsonl")
            let log = try EventLog(url)
            for step in 1...5 { try log.append(event(step)) }
            let four = try Data(contentsOf: url).split(separator: 10).prefix(3).joined(separator: [10])
            try log.truncate(afterStep: 3)
            #expect(try Data(contentsOf: url) == Data(four) + [10])
            try log.append(event(4))
            #expect(try EventLog.read(url).map(\.step) == [1, 2, 3, 4])
        }
    }

    @Test("that are none are named by line")
    func damaged() throws {
        try withTemporaryFolder { folder in
            let url = folder.appendingPathComponent("events.jsonl")
            let line = "{\"epoch\":0,\"step\":1,\"time\":0,\"type\":\"step\"}\n"
            for (text, reason) in [
                ("{}\n", "'type' is missing"), ("x\n", "not valid JSON"),
                (line.replacingOccurrences(of: "\"step\"}", with: "\"jump\"}"), "'type' has an unknown value"),
            ] {
                try Data((line + text + line).utf8).write(to: url)
                do {
                    _ = try EventLog.read(url)
                    Issue.record("read \(text)")
                } catch {
                    let expected =
                        "\(url.relativePath):2: not an event (\(reason)); remove this line; the others are "
                        + "read without it"
                    #expect("\(error)" == expected)
                }
            }
        }
    }

    @Test("that do not fit on the disk leave the file as it was")
    func fullDisk() throws {
        guard FileManager.default.fileExists(atPath: "/dev/full") else { return }
        let file = try AppendedFile(URL(fileURLWithPath: "/dev/full"))
        do {
            try file.append(Data("x".utf8))
            Issue.record("written to a full disk")
        } catch {
            #expect("\(error)".hasPrefix("/dev/full: cannot write: the disk is full; free some space"))
        }
    }

    @Test("are read alike by the fast reader and the general one")
    func fastReader() throws {
        var full = TrainingEvent(.checkpoint, step: 9_007_199_254_740_991, epoch: -0.1, time: 5e-324)
        (full.loss, full.learningRate, full.gradientNorm, full.tokensPerSecond) = (1e300, 2e-4, 0.1, -0)
        (full.imagesPerSecond, full.stepSeconds, full.memoryMib) = (3, 1.0 / 3, 1e22)
        (full.path, full.prompt, full.text, full.name, full.message) = ("p/é", "", "中", "n", "m")
        let line = try EventCoding.encoder.encode(full)
        #expect(line.withUnsafeBytes { EventParser.event($0[...]) } == full)
        #expect(try EventCoding.decoder.decode(TrainingEvent.self, from: line) == full)
        for other in [
            "", "{}", "{\"step\":1}", "{\"type\":\"step\",\"step\":1,\"epoch\":0,\"time\":0", "[1]",
            "{\"type\":\"step\",\"step\":1.5,\"epoch\":0,\"time\":0}",
            "{\"type\":\"step\",\"step\":1,\"epoch\":0,\"time\":0,\"text\":\"\\n\"}",
            "{\"type\":\"step\",\"step\":1e99,\"epoch\":0,\"time\":0}",
            "{\"type\":\"step\",\"step\":1,\"epoch\":0,\"time\":0,\"loss\":\"nan\"}",
        ] {
            #expect(Data(other.utf8).withUnsafeBytes { EventParser.event($0[...]) } == nil, "\(other)")
        }
    }
}

@Suite("Checkpoints")
struct CheckpointTests {
    @Test("are complete or absent, listed newest first, and pruned to a limit")
    func saved() throws {
        try withTemporaryFolder { folder in
            let checkpoints = Checkpoints(folder: folder)
            for step in [5, 100, 20, 1_234_567] {
                try checkpoints.save(step: step) {
                    try Data("\(step)".utf8).write(to: $0.appendingPathComponent("state"))
                }
            }
            #expect(checkpoints.all.map(\.name) == ["step-1234567", "step-000100", "step-000020", "step-000005"])
            #expect(checkpoints.newest?.step == 1_234_567)
            struct Failure: Error {}
            #expect(throws: Failure.self) {
                try checkpoints.save(step: 200) {
                    try Data("half".utf8).write(to: $0.appendingPathComponent("state"))
                    throw Failure()
                }
            }
            #expect(checkpoints.all.count == 4)
            try checkpoints.prune(keeping: 2, always: [5])
            #expect(checkpoints.all.map(\.step) == [1_234_567, 100, 5])
            try checkpoints.prune(keeping: 0)
            try checkpoints.remove(afterStep: 100)
            #expect(checkpoints.all.map(\.step) == [100, 5])
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).count == 2)
        }
    }

    @Test("of the same step are replaced as a whole")
    func replaced() throws {
        try withTemporaryFolder { folder in
            let checkpoints = Checkpoints(folder: folder)
            try checkpoints.save(step: 1) { try Data("old".utf8).write(to: $0.appendingPathComponent("old")) }
            let checkpoint = try checkpoints.save(step: 1) {
                try Data("new".utf8).write(to: $0.appendingPathComponent("new"))
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: checkpoint.folder.path) == ["new"])
        }
    }

    @Test("that were left half written or half removed are swept away; other names are nobody's checkpoints")
    func swept() throws {
        try withTemporaryFolder { folder in
            for name in [
                ".step-000005.9-x.partial", ".removed-step-000004", "step-000003", "step-3", "step-00000x", "adapter",
            ] {
                try FileManager.default.createDirectory(
                    at: folder.appendingPathComponent(name), withIntermediateDirectories: true)
            }
            try Data().write(to: folder.appendingPathComponent("step-000009"))
            let checkpoints = Checkpoints(folder: folder)
            checkpoints.sweep()
            #expect(checkpoints.all.map(\.step) == [3])
            let left = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
            #expect(left == ["adapter", "step-000003", "step-000009", "step-00000x", "step-3"])
        }
    }

    @Test("a run that goes on takes back what came after")
    func rewound() throws {
        try withTemporaryFolder { folder in
            let configuration = Configuration(
                baseModel: "b", trainData: "t", outputDirectory: folder.appendingPathComponent("run").path)
            let run = try RunDirectory(RunIdentity(configuration: configuration, base: [], data: []), command: "")
            for step in 1...4 {
                try run.events.append(TrainingEvent(.step, step: step, epoch: 0, time: 0))
                try run.checkpoints.save(step: step) { _ in }
            }
            try run.rewind(toStep: 2)
            #expect(run.checkpoints.all.map(\.step) == [2, 1])
            #expect(try run.layout.readEvents().map(\.step) == [1, 2])
        }
    }
}
