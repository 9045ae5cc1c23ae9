// GGUF files for tests, byte by byte, right or wrong.

import Foundation

/// Bytes of a GGUF file.
struct GGUFBuilder {
    var bytes = Data("GGUF".utf8)

    /// A header of version 3 that announces so many tensors and metadata values.
    init(version: UInt32 = 3, tensors: UInt64 = 0, values: UInt64 = 1) {
        add(version)
        add(tensors)
        add(values)
    }

    /// The least that a file needs: its architecture.
    static func llama(tensors: UInt64 = 0, values: UInt64 = 1) -> GGUFBuilder {
        var builder = GGUFBuilder(tensors: tensors, values: values)
        builder.add(key: "general.architecture", type: 8)
        builder.add("llama")
        return builder
    }

    mutating func add<T: FixedWidthInteger>(_ value: T) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func add(_ text: String) {
        add(UInt64(text.utf8.count))
        bytes.append(contentsOf: text.utf8)
    }

    mutating func add(key: String, type: UInt32) {
        add(key)
        add(type)
    }

    mutating func add(tensor name: String, _ sizes: [UInt64], type: UInt32, offset: UInt64) {
        add(name)
        add(UInt32(sizes.count))
        sizes.forEach { add($0) }
        add(type)
        add(offset)
    }

    /// Fills up to a multiple of 32 and appends so many zeros.
    mutating func add(zeros: Int) {
        bytes.append(Data(count: (32 - bytes.count % 32) % 32 + zeros))
    }
}
