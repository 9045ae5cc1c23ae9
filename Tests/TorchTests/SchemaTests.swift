// Every operator that Swift declares, compared with the loaded libtorch.

import Foundation
import Testing

@testable import Torch

/// Every schema literal in Sources/Torch/Operators, as its declaration reads.
private func declaredOperators() -> [String] {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    let folder = root.deletingLastPathComponent().appendingPathComponent("Sources/Torch/Operators")
    let files = (try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)) ?? []
    let literal = #/Operator\(\s*(?:"""\n(?<lines>[\s\S]*?)"""|"(?<line>[^"\n]*)")\s*\)/#
    return files.sorted { $0.path < $1.path }.flatMap { file -> [String] in
        let source = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
        return source.matches(of: literal).map { match in
            if let line = match.line { return String(line) }
            let lines = (match.lines ?? "").split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
            return lines.joined(separator: "\n").replacingOccurrences(of: "\\\n", with: "")
                .trimmingCharacters(in: .whitespacesAndNewlines)
        }
    }
}

@Suite("Operators as declared")
struct SchemaTests {
    @Test("all declarations are found in the sources")
    func found() {
        let declared = declaredOperators()
        #expect(declared.count >= 45 && Set(declared).count == declared.count)
        #expect(declared.contains { $0.hasPrefix("lora::linear(") && $0.hasSuffix("Tensor? residual) -> Tensor") })
        #expect(declared.allSatisfy { $0.contains(" -> ") && !$0.contains("\n") && !$0.contains("  ") })
    }

    @Test("a declared schema is the loaded library's", arguments: declaredOperators())
    func matches(_ declared: String) throws {
        let name = declared.prefix { $0 != "(" }
        let parts = (name.contains("::") ? String(name) : "aten::\(name)").split(separator: ".", maxSplits: 1)
        // A name that is not there would end the process in `Operator`, so it is looked up by itself first.
        try #require(isRegistered(String(parts[0]), parts.count > 1 ? String(parts[1]) : ""), "no operator \(name)")
        let one = Operator(declared)
        #expect(one.schema == one.loadedSchema, "declared above, loaded below")
    }
}
