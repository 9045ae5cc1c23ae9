// One event of TensorBoard's event files, encoded by hand in the protocol buffer wire format.
// Port of https://github.com/tensorflow/tensorboard/blob/master/tensorboard/compat/proto/event.proto
// (and summary.proto)

import Foundation

/// One `Event` message: what happened at a step, at a time.
public struct TensorBoardEvent: Sendable, Equatable {
    /// What an event carries.
    public enum Content: Sendable, Equatable {
        /// The first record of every file.
        case fileVersion
        /// A session begins at this step: readers drop what an earlier session left at this step or later.
        case sessionStart
        /// Numbers by tag.
        case scalars([Scalar])
        /// Markdown by tag, shown by TensorBoard's text page.
        case text(tag: String, markdown: String)
    }

    /// A number by its tag.
    public struct Scalar: Sendable, Equatable {
        /// The name of its curve; the part before a slash is the group, as in `train/loss`.
        public var tag: String
        /// The number at the event's step.
        public var value: Float

        /// Makes a number of the curve `tag`.
        public init(_ tag: String, _ value: Float) { (self.tag, self.value) = (tag, value) }
    }

    /// Seconds since 1970.
    public var time: Double
    /// Where on the curve's horizontal axis it stands.
    public var step: Int
    /// What the event says.
    public var content: Content

    /// Makes an event; `time` is in seconds since 1970.
    public init(time: Double, step: Int, content: Content) {
        (self.time, self.step, self.content) = (time, step, content)
    }

    /// The message in the wire format, fields in the order of their numbers.
    public var encoded: [UInt8] {
        var event = ProtobufMessage()
        event.double(1, time)
        event.integer(2, step)
        switch content {
        case .fileVersion: event.string(3, "brain.Event:2")
        case .sessionStart: event.message(7) { $0.integer(1, 1) }
        case .scalars(let scalars):
            event.message(5) { summary in
                for scalar in scalars {
                    summary.message(1) {
                        $0.string(1, scalar.tag)
                        $0.float(2, scalar.value)
                    }
                }
            }
        case .text(let tag, let markdown):
            event.message(5) { summary in
                summary.message(1) { Self.encodeText(tag: tag, markdown: markdown, into: &$0) }
            }
        }
        return event.bytes
    }

    /// A text is a string tensor of shape [1] that the plugin `text` shows.
    private static func encodeText(tag: String, markdown: String, into value: inout ProtobufMessage) {
        value.string(1, tag)
        value.message(8) { tensor in
            tensor.integer(1, 7)  // DT_STRING
            tensor.message(2) { shape in shape.message(2) { $0.integer(1, 1) } }
            tensor.string(8, markdown)
        }
        value.message(9) { metadata in
            metadata.message(1) { $0.string(1, "text") }
        }
    }
}

/// The wire format of protocol buffers, as far as event files need it. Numbers that are zero are left out, as proto3
/// has it, except floats: a scalar of 0 is a member of a `oneof`, which is written even when zero.
struct ProtobufMessage {
    private(set) var bytes: [UInt8] = []

    mutating func integer(_ field: Int, _ value: Int) {
        guard value != 0 else { return }
        key(field, wireType: 0)
        varint(UInt64(bitPattern: Int64(value)))
    }

    mutating func double(_ field: Int, _ value: Double) {
        guard value.bitPattern != 0 else { return }
        key(field, wireType: 1)
        withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func float(_ field: Int, _ value: Float) {
        key(field, wireType: 5)
        withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func string(_ field: Int, _ value: String) {
        key(field, wireType: 2)
        varint(UInt64(value.utf8.count))
        bytes.append(contentsOf: value.utf8)
    }

    mutating func message(_ field: Int, _ fill: (inout ProtobufMessage) -> Void) {
        var inner = ProtobufMessage()
        fill(&inner)
        key(field, wireType: 2)
        varint(UInt64(inner.bytes.count))
        bytes.append(contentsOf: inner.bytes)
    }

    private mutating func key(_ field: Int, wireType: UInt64) {
        varint(UInt64(field) << 3 | wireType)
    }

    private mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }
}
