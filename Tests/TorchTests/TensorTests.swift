// Tensors: elements in and out, views, borrowed memory, errors in libtorch's words.

import Foundation
import Synchronization
import TestSupport
import Testing

@testable import Torch

@Suite("Tensors")
struct TensorTests {
    @Test("elements of every Swift type come back as they went in")
    func roundTrip() throws {
        #expect(try Tensor([1.5, -2, 0] as [Float]).array() == [1.5, -2, 0] as [Float])
        #expect(try Tensor([1e300, -0.1]).array() == [1e300, -0.1])
        #expect(try Tensor([Int.min, 7, .max]).array() == [Int.min, 7, .max])
        #expect(try Tensor([Int32.min, .max]).array() == [Int32.min, .max])
        #expect(try Tensor([0, 255] as [UInt8]).array() == [0, 255] as [UInt8])
        #expect(try Tensor([1, 2, 3] as [Float]).array(Int.self) == [1, 2, 3])
        #expect(try Tensor([Float](), [0, 4]).array() == [Float]())
        let scalar = try Tensor([0.25], [])
        #expect(try scalar.shape == [] && scalar.count == 1 && scalar.item() == 0.25 && scalar.dtype == .float64)
    }

    @Test("types narrow to 16 bits and come back rounded")
    func types() throws {
        let x = try Tensor([1 / 3, 65504, -2] as [Float])
        #expect(try x.to(.float16).array() == [0.33325195, 65504, -2] as [Float])
        #expect(try x.to(.bfloat16).array() == [0.33398438, 65536, -2] as [Float])
        #expect(try x.to(.bfloat16).dtype == .bfloat16 && x.to(.float32) === x && x.to(.cpu) === x)
    }

    @Test("views share their memory, copies do not")
    func views() throws {
        let x = try Tensor((0..<12).map(Float.init), [3, 4])
        let (row, copy) = (try x.narrow(0, 1, 1), try x.clone())
        try row.zero()
        #expect(try x.array(Int.self) == [0, 1, 2, 3, 0, 0, 0, 0, 8, 9, 10, 11])
        #expect(try copy.array(Int.self) == Array(0..<12))
        #expect(try copy.transpose(0, 1).array(Int.self) == [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11])
        #expect(try copy.view(2, -1).shape == [2, 6] && copy.unsqueeze(1).shape == [3, 1, 4])
        let parts = try copy.split([1, 3], dim: 1)
        #expect(try parts.map(\.shape) == [[3, 1], [3, 3]] && parts[0].array(Int.self) == [0, 4, 8])
        #expect(try concatenated(parts, dim: 1).array(Int.self) == Array(0..<12))
        #expect(try copy.indexSelect(0, Tensor([2, 0])).array(Int.self) == [8, 9, 10, 11, 0, 1, 2, 3])
    }

    @Test("a view keeps borrowed memory alive, and it is given back once, with the last view")
    func borrowing() throws {
        let memory = UnsafeMutablePointer<Float>.allocate(capacity: 6)
        memory.initialize(repeating: 2.5, count: 6)
        defer { memory.deallocate() }
        let releases = Counter()
        var whole: Tensor? = try Tensor(borrowing: memory, [2, 3], .float32) { releases.add() }
        var view: Tensor? = try whole?.transpose(0, 1)
        #expect(try whole?.withBytes { $0.baseAddress } == UnsafeRawPointer(memory))
        whole = nil
        #expect(try releases.count == 0 && view?.array() == [Float](repeating: 2.5, count: 6))
        view = nil
        #expect(releases.count == 1)
    }

    @Test("memory that cannot be borrowed is given back at once")
    func refusedBorrowing() {
        let releases = Counter()
        let bytes: [Float] = [1, 2]
        let text = message {
            try bytes.withUnsafeBytes { memory in
                let start = try #require(memory.baseAddress)
                _ = try Tensor(borrowing: start, [-1, -2], .float32) { releases.add() }
            }
        }
        #expect(text?.contains("negative") == true && releases.count == 1)
    }

    @Test("a hundred thousand calls leave no memory behind")
    func noLeak() throws {
        let x = try Tensor([Float](repeating: 1, count: 4096))
        func calls(_ count: Int) throws {
            for _ in 0..<count {
                let y = try (x + x).narrow(0, 0, 10)
                _ = try? x.view(3)
                _ = y.shape
            }
        }
        try calls(1000)
        let before = Accelerator.memory(of: .cpu).now
        try calls(100_000)
        // Kept results would be 1.6 GB. Other tests run meanwhile, so the bound is wide.
        #expect(Accelerator.memory(of: .cpu).now - before < 1 << 30)
    }

    @Test("errors are libtorch's own words, on one line")
    func errors() throws {
        let (a, b) = (try noise(2, 3), try noise(4, 5))
        #expect(message { _ = try a.matmul(b) } == "mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)")
        #expect(
            message { _ = try a + b }
                == "The size of tensor a (3) must match the size of tensor b (5) at non-singleton dimension 1")
        #expect(message { _ = try a.view(7) } == "shape '[7]' is invalid for input of size 6")
        #expect(message { _ = try a.item() } == "item() of a tensor of shape [2, 3]")
        let text = message { _ = try Tensor([1, 2, 3] as [Float], [2, 2]) }
        #expect(text == "3 values do not fill a tensor of shape [2, 2]")
        #expect(message { try a.transpose(0, 1).withBytes { _ in } } == "not a contiguous CPU tensor")
    }

    @Test("shapes that overflow or are negative are refused", arguments: [[Int.max, 2], [-1, -3], [1 << 62, 4, 3]])
    func shapes(_ shape: [Int]) {
        #expect(message { _ = try Tensor([1, 2, 3] as [Float], shape) }?.contains("\(shape)") == true)
        #expect(message { _ = try Tensor([Float](), shape + [0, shape[0]]) } != nil)
    }

    @Test("too much memory asked for is told apart, with advice")
    func outOfMemory() {
        do {
            _ = try Tensor.zeros([1 << 50])
            Issue.record("a petabyte was given")
        } catch TorchError.outOfMemory(let words) {
            let text = TorchError.outOfMemory(words).description
            #expect(text.hasPrefix("out of memory: ") && text.contains("try a smaller batch_size"))
            #expect(!text.contains("\n"))
        } catch {
            Issue.record("not told as a lack of memory: \(error)")
        }
    }
}

@Suite("Devices")
struct DeviceTests {
    @Test(
        "a name that is no device is answered with those that are",
        arguments: ["gpu", "cuda:x", "cuda:-1", "", "cpu:0"])
    func unknown(_ name: String) {
        #expect(
            message { _ = try Accelerator.load(name) }
                == "device '\(name)': expected auto, cpu, cuda, cuda:1 … or mps")
    }

    @Test("cpu and auto are always there")
    func present() throws {
        #expect(try Accelerator.load("cpu") == .cpu)
        _ = try Accelerator.load("auto")
        #expect(Accelerator.version == "2.11.0" && Accelerator.threads >= 1)
        let memory = Accelerator.memory(of: .cpu)
        #expect(memory.now > 1 << 20 && memory.peak >= memory.now)
    }

    @Test("cuda where there is none says why and what to do")
    func noCUDA() {
        guard let text = message({ _ = try Accelerator.load("cuda:63") }) else { return }
        #expect(text.hasPrefix("device 'cuda"), "\(text)")
        #expect(text.hasSuffix("; use device: cpu") && !text.contains("\n"), "\(text)")
        #expect(text.contains("libtorch_cuda.so: ") || text.contains("this machine shows"), "\(text)")
    }

    #if os(Linux)
        @Test("mps is refused where there is none")
        func noMPS() {
            #expect(message { _ = try Accelerator.load("mps") }?.contains("needs an Apple-silicon Mac") == true)
        }
    #endif
}

/// Counts calls from any thread.
final class Counter: Sendable {
    private let value = Mutex(0)
    var count: Int { value.withLock { $0 } }
    func add() { value.withLock { $0 += 1 } }
}
