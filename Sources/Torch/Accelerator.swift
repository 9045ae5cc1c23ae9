// Choosing and loading a device, its threads and its memory.

import CTorch
import Foundation

/// The machine's means to compute.
public enum Accelerator {
    /// The version of libtorch that this was built for, such as `2.11.0`.
    public static var version: String { String(cString: ctorch_version()) }

    /// Threads that one operator uses on the CPU.
    public static var threads: Int {
        get { Int(ctorch_threads()) }
        set { ctorch_set_threads(Int32(newValue)) }
    }

    /// Lets the process keep memory that a training step frees for the next step. Call once, before training.
    public static func keepMemory() { ctorch_keep_memory() }

    /// Finds and loads the device that a configuration names: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.
    ///
    /// `auto` takes CUDA or MPS where one is there and the CPU otherwise. Throws `TorchError.device` with the
    /// loader's own words where a device that was asked for by name cannot be had.
    public static func load(_ name: String) throws -> Device {
        let parts = name.split(separator: ":", omittingEmptySubsequences: false)
        switch (parts.first, parts.count) {
        case ("cpu", 1): return .cpu
        case ("mps", 1): return try mps()
        case ("cuda", 1): return try cuda(0)
        case ("cuda", 2):
            if let index = Int(parts[1]), index >= 0 { return try cuda(index) }
        case ("auto", 1):
            if let device = (try? cuda(0)) ?? (try? mps()) { return device }
            return .cpu
        default: break
        }
        throw TorchError.device("device '\(name)': expected auto, cpu, cuda, cuda:1 … or mps")
    }

    private static func cuda(_ index: Int) throws -> Device {
        do {
            try check(ctorch_load_cuda("libtorch_cuda.so"))
        } catch {
            throw TorchError.device("device 'cuda': libtorch's CUDA half does not load: \(error); use device: cpu")
        }
        let count = Int(ctorch_device_count(Device.Kind.cuda.rawValue))
        guard index < count else {
            throw TorchError.device("device 'cuda:\(index)': this machine shows \(count) CUDA devices; use device: cpu")
        }
        return Device(.cuda, index)
    }

    private static func mps() throws -> Device {
        guard ctorch_device_count(Device.Kind.mps.rawValue) > 0 else {
            throw TorchError.device("device 'mps': this libtorch has none; it needs an Apple-silicon Mac")
        }
        return Device(.mps)
    }

    /// Bytes in use now and at most so far: the process's resident memory for the CPU, the allocator's for others.
    public static func memory(of device: Device) -> (now: Int, peak: Int) {
        guard device.kind == .cpu else {
            var (now, peak): (Int64, Int64) = (0, 0)
            _ = ctorch_device_memory(device.kind.rawValue, Int32(device.index), &now, &peak)
            return (Int(now), Int(peak))
        }
        return residentMemory()
    }

    private static func residentMemory() -> (now: Int, peak: Int) {
        let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        func kibibytes(_ key: String) -> Int? {
            status.split(separator: "\n").first { $0.hasPrefix(key) }
                .flatMap { Int($0.dropFirst(key.count).filter(\.isNumber)) }
        }
        if let now = kibibytes("VmRSS:"), let peak = kibibytes("VmHWM:") { return (now << 10, peak << 10) }
        return (0, 0)
    }
}
