// Parts of a model, and their checkpoint keys, which follow from the names of properties.

/// A part of a model: it holds parameters and other modules.
open class Module {
    public init() {}

    /// Names that differ from the snake_case form of the property name.
    open class var keys: [String: String] { [:] }

    /// Everything below this module that a checkpoint fills, by its key, in declaration order.
    public func slots(prefix: String = "") -> [(key: String, slot: any Slot)] {
        walk(prefix).compactMap { key, value in (value as? any Slot).map { (key, $0) } }
    }

    /// Every module of a type or protocol below this one, by its path, in declaration order.
    public func modules<M>(of kind: M.Type) -> [(path: String, module: M)] {
        walk("").compactMap { path, value in (value as? M).map { (path, $0) } }
    }

    private func walk(_ prefix: String) -> [(path: String, value: Any)] {
        children.flatMap { name, value -> [(path: String, value: Any)] in
            let path = prefix.isEmpty ? name : "\(prefix).\(name)"
            switch value {
            case let module as Module:
                return [(path, module)] + module.walk(path)
            case let modules as [Module]:
                return modules.enumerated().flatMap { [("\(path).\($0)", $1)] + $1.walk("\(path).\($0)") }
            default:
                return value is any Slot ? [(path, value)] : []
            }
        }
    }

    private var children: [(name: String, value: Any)] {
        sequence(first: Mirror(reflecting: self), next: \.superclassMirror).flatMap(\.children).compactMap { child in
            let mirror = Mirror(reflecting: child.value)
            guard let label = child.label else { return nil }
            guard mirror.displayStyle == .optional else { return (Self.keys[label] ?? label.snakeCased, child.value) }
            guard let value = mirror.children.first?.value else { return nil }
            return (Self.keys[label] ?? label.snakeCased, value)
        }
    }
}

extension String {
    /// `inputLayernorm` → `input_layernorm`.
    var snakeCased: String {
        reduce(into: "") { result, character in
            if character.isUppercase, !result.isEmpty { result.append("_") }
            result.append(contentsOf: character.lowercased())
        }
    }
}
