// What a pickle's values are to a reader that only looks for tensors.

/// A value on the machine's stack.
///
/// Containers are numbers of a place in the machine, as they may hold each other, or be nested a million deep.
enum PickleValue: Sendable {
    case none
    case truth(Bool)
    case integer(Int)
    case text(String)
    /// A list, a tuple or a set.
    case sequence(Int)
    case dictionary(Int)
    case name(PickleName)
    case storage(PickledStorage)
    case tensor(PickledTensor)
    /// Data that nobody needs here, such as NumPy's numbers: read over, never made into anything.
    case opaque
}

/// The bytes that tensors are views of.
struct PickledStorage: Sendable {
    let type: ElementType
    /// The name of its entry in the archive, under `data/`.
    let key: String
}

/// A view of a storage, as it is written: nothing is checked yet.
struct PickledTensor: Sendable {
    let storage: PickledStorage
    /// In elements.
    let offset: Int
    let shape: [Int]
    let strides: [Int]
}

/// A name of Python's that a pickle may mention. None of them is ever looked up or called: they are words that this
/// reader knows.
enum PickleName: Sendable, Equatable {
    /// `torch._utils._rebuild_tensor_v2`
    case tensor
    /// `torch._utils._rebuild_parameter`
    case parameter
    /// `collections.OrderedDict`
    case orderedDictionary
    /// `torch.FloatStorage` and its like; nil for elements that lora does not read.
    case storage(ElementType?)
    /// What becomes `PickleValue.opaque`.
    case data

    /// The meaning of `module.name`; nil where it is none of those that checkpoints need.
    init?(_ name: String) {
        if let meaning = Self.meanings[name] {
            self = meaning
        } else if Self.plainValues.contains(name) || Self.isCallback(name) {
            self = .data
        } else {
            return nil
        }
    }

    private static let meanings: [String: PickleName] = [
        "torch._utils._rebuild_tensor_v2": .tensor, "torch._utils._rebuild_parameter": .parameter,
        "collections.OrderedDict": .orderedDictionary,
        "torch.DoubleStorage": .storage(.f64), "torch.FloatStorage": .storage(.f32),
        "torch.HalfStorage": .storage(.f16), "torch.BFloat16Storage": .storage(.bf16),
        "torch.LongStorage": .storage(.i64), "torch.IntStorage": .storage(.i32), "torch.ShortStorage": .storage(.i16),
        "torch.CharStorage": .storage(.i8), "torch.ByteStorage": .storage(.u8), "torch.BoolStorage": .storage(.bool),
        "torch.ComplexFloatStorage": .storage(nil), "torch.ComplexDoubleStorage": .storage(nil),
    ]

    /// Plain values: numbers, types, settings of a trainer.
    private static let plainValues: Set<String> = [
        "_codecs.encode", "__builtin__.set", "builtins.set", "__builtin__.frozenset", "builtins.frozenset",
        "collections.defaultdict", "__builtin__.dict",
        "builtins.dict", "__builtin__.list", "builtins.list", "__builtin__.int", "builtins.int", "__builtin__.float",
        "builtins.float", "argparse.Namespace", "pathlib.PosixPath",
        "numpy.dtype", "numpy.ndarray", "numpy.core.multiarray.scalar", "numpy.core.multiarray._reconstruct",
        "numpy._core.multiarray.scalar", "numpy._core.multiarray._reconstruct",
        "torch.Size", "torch.device", "torch.nn.modules.container.ParameterDict", "torch.float64", "torch.float32",
        "torch.float16", "torch.bfloat16", "torch.int64", "torch.int32", "torch.int16", "torch.int8", "torch.uint8",
        "torch.bool",
    ]

    /// PyTorch Lightning names its callbacks' states by their classes.
    private static func isCallback(_ name: String) -> Bool {
        ["pytorch_lightning.callbacks.", "lightning.pytorch.callbacks."].contains { name.hasPrefix($0) }
    }
}
