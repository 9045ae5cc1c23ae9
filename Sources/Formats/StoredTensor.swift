// A tensor as it lies in a file: nothing is copied or expanded until it is asked for.

import CBlocks
import Foundation

/// A tensor in a memory-mapped file.
public struct StoredTensor: Sendable {
    /// Its name in the file.
    public let name: String
    /// How its elements are stored.
    public let type: ElementType
    /// Row-major: the last dimension is contiguous (GGUF's `ne`, reversed).
    public let shape: [Int]
    /// The file that holds it.
    public let file: MappedFile
    /// Where its bytes begin in the file.
    public let offset: Int
    /// How many bytes it takes there.
    public let byteCount: Int

    /// The number of its elements.
    public var elementCount: Int { shape.reduce(1, *) }

    /// Describes a tensor after checking that its size follows from its type and shape and that it lies in the file.
    public init(name: String, type: ElementType, shape: [Int], file: MappedFile, offset: Int) throws {
        guard let byteCount = type.byteCount(shape: shape) else {
            throw FormatsError.damaged(
                path: file.url.shownPath, place: name,
                problem: "a tensor of shape \(shape) cannot be stored as \(type), in blocks of \(type.blockSize)")
        }
        guard offset >= 0, offset <= file.count, byteCount <= file.count - offset else {
            throw FormatsError.damaged(
                path: file.url.shownPath, place: name,
                problem: "its \(byteCount.grouped) bytes from byte \(offset.grouped) on reach beyond the file, "
                    + "which has \(file.count.grouped)")
        }
        (self.name, self.type, self.shape) = (name, type, shape)
        (self.file, self.offset, self.byteCount) = (file, offset, byteCount)
    }

    /// Its bytes as stored; valid as long as `file`, which whoever keeps the pointer must keep, too.
    public func bytes() throws -> UnsafeRawBufferPointer {
        try file.bytes(at: offset, count: byteCount)
    }

    /// Gives its bytes as stored, which stay mapped while `body` runs.
    public func withBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) throws -> R {
        try withExtendedLifetime(file) { try body(bytes()) }
    }

    /// A copy of its bytes as stored.
    public func data() throws -> Data { try withBytes { Data($0) } }

    /// Its elements as floats, expanded where they are quantised and rounded where they are wider.
    public func floats() throws -> [Float] {
        let count = elementCount
        return try withBytes { bytes in
            switch type {
            case .f64: Self.converted(bytes, count) { Float(Double(bitPattern: UInt64(littleEndian: $0))) }
            case .i64: Self.converted(bytes, count) { Float(Int64(littleEndian: $0)) }
            case .i32: Self.converted(bytes, count) { Float(Int32(littleEndian: $0)) }
            case .i16: Self.converted(bytes, count) { Float(Int16(littleEndian: $0)) }
            case .i8: Self.converted(bytes, count) { (value: Int8) in Float(value) }
            case .u8: Self.converted(bytes, count) { (value: UInt8) in Float(value) }
            case .bool: Self.converted(bytes, count) { (value: UInt8) in value == 0 ? 0 : 1 }
            default: try expanded(bytes, count)
            }
        }
    }

    private static func converted<Stored: FixedWidthInteger>(
        _ bytes: UnsafeRawBufferPointer, _ count: Int, _ float: (Stored) -> Float
    ) -> [Float] {
        (0..<count).map { float(bytes.loadUnaligned(fromByteOffset: $0 * MemoryLayout<Stored>.size, as: Stored.self)) }
    }

    private func expanded(_ bytes: UnsafeRawBufferPointer, _ count: Int) throws -> [Float] {
        guard count > 0 else { return [] }
        var status: Int32 = 0
        let floats = [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
            status = blocks_decode(type.ggmlType ?? -1, bytes.baseAddress, Int64(count), buffer.baseAddress)
            initialized = status == 0 ? count : 0
        }
        guard status == 0 else {
            throw FormatsError.damaged(
                path: file.url.shownPath, place: name, problem: "\(count.grouped) elements cannot be read as \(type)")
        }
        return floats
    }
}
