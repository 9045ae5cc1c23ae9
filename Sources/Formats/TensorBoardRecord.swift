// TFRecord framing: length, masked CRC-32C of the length, payload, masked CRC-32C of the payload, all little-endian.
// Format: https://www.tensorflow.org/tutorials/load_data/tfrecord ; the checksum: RFC 3720 appendix B.4.

/// A record of an event file.
public enum TensorBoardRecord {
    /// The payload in its frame.
    public static func frame(_ payload: [UInt8]) -> [UInt8] {
        var record: [UInt8] = []
        record.reserveCapacity(payload.count + 16)
        append(UInt64(payload.count), to: &record)
        append(masked(crc32c(record)), to: &record)
        record.append(contentsOf: payload)
        append(masked(crc32c(payload)), to: &record)
        return record
    }

    /// The CRC-32C (Castagnoli) of the bytes.
    public static func crc32c(_ bytes: [UInt8]) -> UInt32 {
        var crc: UInt32 = .max
        for byte in bytes { crc = table[Int(UInt8(truncatingIfNeeded: crc) ^ byte)] ^ (crc >> 8) }
        return ~crc
    }

    /// The checksum as stored: rotated and shifted, so that a checksum of data that holds checksums stays sound.
    static func masked(_ crc: UInt32) -> UInt32 {
        (crc >> 15 | crc << 17) &+ 0xa282_ead8
    }

    private static func append<T: FixedWidthInteger>(_ value: T, to bytes: inout [UInt8]) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    /// Reflected polynomial 0x82F63B78.
    private static let table: [UInt32] = (0..<256).map { index in
        (0..<8).reduce(UInt32(index)) { crc, _ in crc & 1 == 0 ? crc >> 1 : crc >> 1 ^ 0x82f6_3b78 }
    }
}
