import Runs

/// What a text run will take.
public struct TextPlan {
    public init(_ configuration: Configuration) throws {}
    public var text: String { "" }
    public var json: String { get throws { "{}" } }
}
