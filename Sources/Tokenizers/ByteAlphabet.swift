// GPT-2's spelling of the 256 bytes as visible characters, in which byte-level vocabularies are written.
// Port of https://github.com/openai/gpt-2/blob/master/src/encoder.py

/// The one character that stands for each byte.
enum ByteAlphabet {
    /// The scalar of each byte: itself when it is visible, else the next one from U+0100 on.
    static let scalars: [Unicode.Scalar] = {
        var next: UInt32 = 0x100
        return (0...255 as ClosedRange<UInt8>).map { byte in
            switch byte {
            case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF: return Unicode.Scalar(byte)
            default:
                defer { next += 1 }
                return Unicode.Scalar(next) ?? Unicode.Scalar(byte)
            }
        }
    }()

    /// The byte for each scalar value below 0x144, or -1.
    private static let bytes: [Int16] = {
        var bytes = [Int16](repeating: -1, count: 0x144)
        for (byte, scalar) in scalars.enumerated() { bytes[Int(scalar.value)] = Int16(byte) }
        return bytes
    }()

    /// The spelling of bytes, in UTF-8.
    static func spell(_ raw: UnsafeBufferPointer<UInt8>) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(raw.count * 2)
        for byte in raw { result.append(contentsOf: UTF8.encode(scalars[Int(byte)]) ?? .init()) }
        return result
    }

    /// Appends the bytes that a token spells; a token with another character stands for its own UTF-8.
    static func appendBytes<Token: Collection<UInt8>>(of token: Token, to result: inout [UInt8]) {
        let start = result.count
        var lead: UInt8 = 0
        for byte in token {
            let value: Int
            if lead != 0 {
                value = byte & 0xC0 == 0x80 ? Int(lead & 0x1F) << 6 | Int(byte & 0x3F) : Int.max
                lead = 0
            } else if byte >= 0xC2, byte < 0xE0 {
                lead = byte
                continue
            } else {
                value = byte < 0x80 ? Int(byte) : Int.max
            }
            guard value < bytes.count, bytes[value] >= 0 else {
                result.removeSubrange(start...)
                return result.append(contentsOf: token)
            }
            result.append(UInt8(truncatingIfNeeded: bytes[value]))
        }
    }
}
