// What this machine has: engine, devices, memory, disk, libraries.

import Formats
import Foundation
import Torch

extension Diagnosis {
    /// Engine, devices, memory, and what pictures of the curve need.
    mutating func checkMachine() {
        let processors = ProcessInfo.processInfo.activeProcessorCount
        ok("engine", "libtorch \(Accelerator.version), \(Accelerator.threads) of \(processors) processors")
        do {
            ok("CUDA", "\(try Accelerator.load("cuda")) is there and will be used")
        } catch {
            // The error's own remedy is for those who asked for CUDA.
            let reason = "\(error)".components(separatedBy: "; use device: cpu")[0]
            ok("CUDA", "none, so the CPU computes (\(reason))")
        }
        let (total, available) = MachineState.memory
        let finding = "\(PlanText.bytes(available)) free of \(PlanText.bytes(total))"
        if available < 1 << 30 {
            warn("memory", finding, "close other programs: the smallest models need about 1 GiB")
        } else {
            ok("memory", finding)
        }
        checkPictures()
    }

    /// Free space where files will lie.
    mutating func checkPlaces(_ paths: [String]) {
        for path in paths {
            let name = path == "." ? "working folder" : "\(path)/"
            guard let place = MachineState.existing(path), let free = MachineState.freeDisk(at: path) else {
                warn("disk", "\(name): its free space cannot be told")
                continue
            }
            let note = access(place, W_OK) == 0 ? "" : ", but not writable"
            let finding = "\(PlanText.bytes(free)) free for \(name)\(note)"
            if !note.isEmpty {
                fail("disk", finding, "change the permissions of \(place), or choose another folder")
            } else if free < 1 << 30 {
                warn("disk", finding, "checkpoints and models take more: free some space")
            } else {
                ok("disk", finding)
            }
        }
    }

    private mutating func checkPictures() {
        do {
            try Picture.requireLibrary()
            ok("pictures", "libvips is there: pictures can be read, and reports get their curve as SVG and PNG")
        } catch {
            #if os(macOS)
                let remedy = "brew install vips"
            #else
                let remedy = "sudo apt-get install -y libvips42 fonts-dejavu-core"
            #endif
            warn("pictures", "libvips is missing: no training on pictures, no PNG of the curve in reports", remedy)
        }
    }
}

/// What this machine has now.
enum MachineState {
    /// Bytes in all and free for programs, the limit of a container taken into account.
    static var memory: (total: Int, available: Int) {
        let lines = read("/proc/meminfo").split(separator: "\n")
        func kibibytes(_ key: String) -> Int? {
            lines.first { $0.hasPrefix(key) }.flatMap { Int($0.filter(\.isNumber)) }
        }
        let total = kibibytes("MemTotal:").map { $0 << 10 } ?? Int(clamping: ProcessInfo.processInfo.physicalMemory)
        let available = kibibytes("MemAvailable:").map { $0 << 10 } ?? total
        guard let limit = Int(read("/sys/fs/cgroup/memory.max")), limit < total else { return (total, available) }
        let used = Int(read("/sys/fs/cgroup/memory.current")) ?? 0
        return (limit, min(available, max(0, limit - used)))
    }

    /// Bytes that this process has in memory.
    static var residentMemory: Int { Accelerator.memory(of: .cpu).now }

    /// Bytes free where `path` lies or would lie; nil where that cannot be told.
    static func freeDisk(at path: String) -> Int? {
        existing(path).flatMap { folder in
            var status = statvfs()
            guard statvfs(folder, &status) == 0 else { return nil }
            let (blocks, size) = (Int(clamping: status.f_bavail), Int(clamping: status.f_frsize))
            let (bytes, overflow) = blocks.multipliedReportingOverflow(by: size)
            return overflow ? nil : bytes
        }
    }

    /// The path itself, or the nearest folder above it that is there.
    static func existing(_ path: String) -> String? {
        var url = URL(fileURLWithPath: path).standardizedFileURL
        while !FileManager.default.fileExists(atPath: url.path) {
            guard url.path != "/", !url.path.isEmpty else { return nil }
            url.deleteLastPathComponent()
        }
        return url.path
    }

    private static func read(_ path: String) -> String {
        let text = try? String(contentsOfFile: path, encoding: .utf8)
        return text?.trimmingCharacters(in: .whitespacesAndNewlines) ?? ""
    }
}
