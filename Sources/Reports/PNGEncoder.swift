// Pixels to PNG, with the zlib that librsvg and cairo bring: cairo's own encoder takes three times as long.
// Format: https://www.w3.org/TR/png-3/

import Foundation

/// Encodes pictures.
struct PNGEncoder {
    typealias Compress =
        @convention(c) (
            UnsafeMutablePointer<UInt8>, UnsafeMutablePointer<UInt>, UnsafePointer<UInt8>, UInt, Int32
        ) -> Int32
    typealias Checksum = @convention(c) (UInt, UnsafePointer<UInt8>, UInt32) -> UInt

    /// zlib's `compress2`.
    let compress: Compress
    /// zlib's `crc32`.
    let checksum: Checksum

    /// The file of a picture whose rows hold blue, green, red and an unused byte a pixel; absent where zlib fails.
    func encode(_ pixels: UnsafePointer<UInt8>, width: Int, height: Int, stride: Int) -> Data? {
        var rows = [UInt8](repeating: 0, count: height * (width * 3 + 1))
        rows.withUnsafeMutableBufferPointer { buffer in
            guard var target = buffer.baseAddress else { return }
            for y in 0..<height {
                var source = pixels + y * stride
                target += 1  // no filter
                for _ in 0..<width {
                    (target[0], target[1], target[2]) = (source[2], source[1], source[0])
                    (target, source) = (target + 3, source + 4)
                }
            }
        }
        var size = UInt(rows.count + rows.count / 1000 + 1024)
        var packed = [UInt8](repeating: 0, count: Int(size))
        let status = rows.withUnsafeBufferPointer { rows in
            packed.withUnsafeMutableBufferPointer { packed -> Int32 in
                guard let from = rows.baseAddress, let to = packed.baseAddress else { return -1 }
                return compress(to, &size, from, UInt(rows.count), 4)
            }
        }
        guard status == 0 else { return nil }
        var file: [UInt8] = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]
        append("IHDR", Self.number(width) + Self.number(height) + [8, 2, 0, 0, 0], to: &file)
        append("IDAT", Array(packed.prefix(Int(size))), to: &file)
        append("IEND", [], to: &file)
        return Data(file)
    }

    private func append(_ type: String, _ content: [UInt8], to file: inout [UInt8]) {
        let body = Array(type.utf8) + content
        let crc = body.withUnsafeBufferPointer { buffer in
            buffer.baseAddress.map { checksum(0, $0, UInt32(buffer.count)) } ?? 0
        }
        file += Self.number(content.count) + body + Self.number(Int(crc))
    }

    private static func number(_ value: Int) -> [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) }
    }
}
