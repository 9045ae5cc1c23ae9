// Where tensors live.

/// A device that holds tensors and computes with them.
public struct Device: Sendable, Equatable, CustomStringConvertible {
    /// Raw values are libtorch's `DeviceType`.
    public enum Kind: Int32, Sendable { case cpu = 0, cuda = 1, mps = 13 }

    /// What computes.
    public let kind: Kind
    /// Which one of its kind, from 0.
    public let index: Int

    /// Names a device; whether it is there, `Accelerator.load` finds out.
    public init(_ kind: Kind, _ index: Int = 0) {
        (self.kind, self.index) = (kind, index)
    }

    /// The processor.
    public static let cpu = Device(.cpu)

    public var description: String {
        switch kind {
        case .cpu: "cpu"
        case .cuda: "cuda:\(index)"
        case .mps: "mps"
        }
    }
}
