// Reading of a GGUF file from front to back; no number is used before it has been checked against what is left.

import Foundation

/// A position in a GGUF file.
struct GGUFReader {
    let file: MappedFile  // held, so that the memory handed out stays mapped
    private(set) var position = 0

    init(_ file: MappedFile) { self.file = file }

    var left: Int { file.count - position }

    func damaged(_ place: String?, _ problem: String) -> FormatsError {
        .damaged(path: file.url.shownPath, place: place, problem: problem)
    }

    /// Takes `count` bytes; `place` says what they are for.
    mutating func take(_ count: Int, _ place: @autoclosure () -> String) throws -> UnsafeRawBufferPointer {
        guard count >= 0, count <= left else {
            throw damaged(
                place(), "\(count.grouped) bytes expected at byte \(position.grouped), \(left.grouped) are left")
        }
        defer { position += count }
        return UnsafeRawBufferPointer(rebasing: file.unguardedBytes[position..<(position + count)])
    }

    /// A little-endian integer.
    mutating func number<T: FixedWidthInteger>(
        _ type: T.Type, _ place: @autoclosure () -> String
    ) throws -> T {
        T(littleEndian: try take(MemoryLayout<T>.size, place()).loadUnaligned(as: T.self))
    }

    /// A count of things that take at least `size` bytes each, so that it cannot exceed what is left.
    mutating func count(ofSize size: Int, _ things: String, _ place: @autoclosure () -> String) throws -> Int {
        let count = try number(UInt64.self, place())
        guard count <= UInt64(left / size) else {
            throw damaged(place(), "\(count.grouped) \(things) announced, \(left.grouped) bytes are left for them")
        }
        return Int(count)
    }

    /// A text with its length before it.
    mutating func string(_ place: @autoclosure () -> String) throws -> String {
        let length = try count(ofSize: 1, "bytes of text", place())
        return String(decoding: try take(length, place()), as: UTF8.self)
    }

    /// A metadata value of the type with this number.
    mutating func value(_ type: UInt32, key: String, depth: Int = 0) throws -> GGUFValue {
        switch type {
        case 0: .integer(Int(try number(UInt8.self, key)))
        case 1: .integer(Int(try number(Int8.self, key)))
        case 2: .integer(Int(try number(UInt16.self, key)))
        case 3: .integer(Int(try number(Int16.self, key)))
        case 4: .integer(Int(try number(UInt32.self, key)))
        case 5: .integer(Int(try number(Int32.self, key)))
        case 6: .real(Double(Float(bitPattern: try number(UInt32.self, key))))
        case 7: .bool(try truth(key))
        case 8: .string(try string(key))
        case 9: try array(key: key, depth: depth)
        case 10: Self.whole(try number(UInt64.self, key))
        case 11: .integer(Int(try number(Int64.self, key)))
        case 12: .real(Double(bitPattern: try number(UInt64.self, key)))
        default: throw damaged(key, "its value has type \(type), the format knows 0 to 12")
        }
    }

    private static func whole(_ value: UInt64) -> GGUFValue {
        Int(exactly: value).map(GGUFValue.integer) ?? .large(value)
    }

    private mutating func truth(_ key: String) throws -> Bool {
        let byte = try number(UInt8.self, key)
        guard byte <= 1 else { throw damaged(key, "0 or 1 expected for a truth value, got \(byte)") }
        return byte == 1
    }

    /// Far above any vocabulary; arrays become Swift arrays, which take up to eight times their size in the file.
    private static let mostElements = 1 << 26

    private mutating func array(key: String, depth: Int) throws -> GGUFValue {
        guard depth < 4 else { throw damaged(key, "arrays within arrays, more than 4 deep") }
        let type = try number(UInt32.self, key)
        let sizes: [UInt32: Int] = [0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 8: 8, 9: 12, 10: 8, 11: 8, 12: 8]
        guard let size = sizes[type] else {
            throw damaged(key, "its elements have type \(type), the format knows 0 to 12")
        }
        let count = try count(ofSize: size, "elements", key)
        guard count <= Self.mostElements else {
            throw damaged(key, "an array of \(count.grouped) elements, at most \(Self.mostElements.grouped) are read")
        }
        switch type {
        case 0: return .integers(try numbers(UInt8.self, count, key).map(Int.init))
        case 1: return .integers(try numbers(Int8.self, count, key).map(Int.init))
        case 2: return .integers(try numbers(UInt16.self, count, key).map(Int.init))
        case 3: return .integers(try numbers(Int16.self, count, key).map(Int.init))
        case 4: return .integers(try numbers(UInt32.self, count, key).map(Int.init))
        case 5: return .integers(try numbers(Int32.self, count, key).map(Int.init))
        case 6: return .reals(try numbers(UInt32.self, count, key).map { Double(Float(bitPattern: $0)) })
        case 7: return .bools(try (0..<count).map { _ in try truth(key) })
        case 8: return .strings(try strings(count, key))
        case 10: return Self.wholes(try numbers(UInt64.self, count, key))
        case 11: return .integers(try numbers(Int64.self, count, key).map(Int.init))
        case 12: return .reals(try numbers(UInt64.self, count, key).map { Double(bitPattern: $0) })
        default: return .values(try (0..<count).map { _ in try array(key: key, depth: depth + 1) })
        }
    }

    private static func wholes(_ values: [UInt64]) -> GGUFValue {
        let fitting = values.compactMap(Int.init(exactly:))
        return fitting.count == values.count ? .integers(fitting) : .values(values.map(whole))
    }

    private mutating func numbers<T: FixedWidthInteger>(_ type: T.Type, _ count: Int, _ key: String) throws -> [T] {
        let size = MemoryLayout<T>.size  // `count` fits what is left, so the product does
        let bytes = try take(count * size, key)
        return (0..<count).map { T(littleEndian: bytes.loadUnaligned(fromByteOffset: $0 * size, as: T.self)) }
    }

    private mutating func strings(_ count: Int, _ key: String) throws -> GGUFStrings {
        var starts: [Int] = []
        starts.reserveCapacity(count + 1)
        let bytes = file.unguardedBytes
        for index in 0..<count {
            guard left >= 8 else {
                throw damaged(key, "the file ends before text \(index.grouped) of \(count.grouped)")
            }
            let length = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: position, as: UInt64.self))
            guard length <= UInt64(left - 8) else {
                throw damaged(key, "text \(index.grouped) says \(length.grouped) bytes, \((left - 8).grouped) are left")
            }
            starts.append(position + 8)
            position += 8 + Int(length)
        }
        starts.append(position + 8)
        return GGUFStrings(file: file, starts: starts)
    }
}
