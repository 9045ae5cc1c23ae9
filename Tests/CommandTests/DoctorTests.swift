// `lora doctor`: one line for each finding, and status 1 exactly where there is a problem.

import Foundation
import TestSupport
import Testing

@Suite("lora doctor")
struct DoctorTests {
    @Test("the machine alone is looked at without a configuration")
    func machine() throws {
        try withTemporaryFolder { folder in
            let result = try lora("doctor", in: folder)
            #expect(result.status == 0, "\(result.output)")
            for what in ["engine: libtorch", "CUDA: ", "memory: ", "pictures: ", "disk: "] {
                #expect(result.output.contains(what))
            }
        }
    }

    @Test("a good configuration is healthy, and one sample is shown token by token")
    func healthy() throws {
        try withTinyRun { folder in
            let result = try lora("doctor", "run.yaml", in: folder)
            #expect(result.status == 0, "\(result.output)")
            let wanted = [
                "configuration: run.yaml is understood", "base model: ", "tokenizer: ", "chat template: ", "adapter: ",
                "data: alpaca: 6 samples", "output folder: runs/tiny is free", "data.jsonl:1: ",
            ]
            for what in wanted { #expect(result.output.contains(what), "\(what)") }
            #expect(!FileManager.default.fileExists(atPath: folder.appendingPathComponent("runs").path))
        }
    }

    @Test("JSON says the same to programs")
    func json() throws {
        try withTinyRun { folder in
            let result = try lora("doctor", "run.yaml", "--json", in: folder)
            let object = try JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any]
            #expect(object?["healthy"] as? Bool == true)
            let findings = try #require(object?["findings"] as? [[String: Any]])
            #expect(findings.allSatisfy { ["ok", "warning", "problem"].contains($0["level"] as? String) })
            #expect(findings.contains { $0["what"] as? String == "base model" })
        }
    }

    @Test("all problems of a configuration are listed")
    func configuration() throws {
        try withTinyRun("learning_rat: 1\nlora_rank: many") { folder in
            let result = try lora("doctor", "run.yaml", in: folder)
            #expect(result.status == 1)
            #expect(result.output.contains("problem  configuration: run.yaml:7:1: "))
            #expect(result.output.contains("problem  configuration: run.yaml:8:"))
            #expect(result.output.hasSuffix("2 problems, 0 warnings\n") || result.output.contains("2 problems, "))
        }
    }

    @Test("a line that is not JSON is named with its number")
    func brokenData() throws {
        try withTinyRun { folder in
            try write("{\"text\": \"a\"}\n{not json\n", to: "data.jsonl", in: folder)
            let result = try lora("doctor", "run.yaml", in: folder)
            #expect(result.status == 1)
            #expect(result.output.contains("problem  data: "))
            #expect(result.output.contains("data.jsonl:2: "))
        }
    }

    @Test("repeated samples are a warning, not a problem")
    func duplicates() throws {
        try withTinyRun { folder in
            let line = #"{"instruction": "What?", "output": "That."}"#
            try write("\(line)\n\(line)\n", to: "data.jsonl", in: folder)
            let result = try lora("doctor", "run.yaml", in: folder)
            #expect(result.status == 0)
            #expect(result.output.contains("warning  data: 1 sample the same as"))
        }
    }

    @Test("a folder with other files is a problem, and stays as it is")
    func foreignFolder() throws {
        try withTinyRun { folder in
            let output = folder.appendingPathComponent("runs/tiny")
            try FileManager.default.createDirectory(at: output, withIntermediateDirectories: true)
            try write("mine", to: "thesis.txt", in: output)
            let result = try lora("doctor", "run.yaml", in: folder)
            #expect(result.status == 1)
            #expect(result.output.contains("runs/tiny: holds thesis.txt and no run"))
            #expect(try FileManager.default.contentsOfDirectory(atPath: output.path) == ["thesis.txt"])
        }
    }

    @Test("a finished run, and another run in the same folder, are told apart")
    func earlierRuns() throws {
        try withTinyRun("max_steps: 1") { folder in
            let run = try lora("train", "run.yaml", in: folder)
            try #require(run.status == 0, "\(run.errors)")
            let same = try lora("doctor", "run.yaml", in: folder)
            #expect(same.status == 0)
            #expect(same.output.contains("warning  output folder: runs/tiny holds this run, done"))
            let text = try String(contentsOf: folder.appendingPathComponent("run.yaml"), encoding: .utf8)
            try write(text + "lora_rank: 4\n", to: "other.yaml", in: folder)
            let other = try lora("doctor", "other.yaml", in: folder)
            #expect(other.status == 1)
            #expect(other.output.contains("lora_rank was 8, is 4"))
        }
    }

    @Test("a broken base model is a problem that names the file")
    func brokenModel() throws {
        try withTinyRun { folder in
            let text = try String(contentsOf: folder.appendingPathComponent("run.yaml"), encoding: .utf8)
            let lines = text.split(separator: "\n").map { $0.hasPrefix("base_model") ? "base_model: cut.gguf" : $0 }
            try write(lines.joined(separator: "\n"), to: "cut.yaml", in: folder)
            let whole = try Data(contentsOf: goldens.appendingPathComponent("gguf-mixed.gguf"))
            try whole.prefix(200).write(to: folder.appendingPathComponent("cut.gguf"))
            let result = try lora("doctor", "cut.yaml", in: folder)
            #expect(result.status == 1)
            #expect(result.output.contains("problem  base model: "))
            #expect(result.output.contains("cut.gguf"))
        }
    }
}
