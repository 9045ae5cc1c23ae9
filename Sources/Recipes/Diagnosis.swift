/// What is right and wrong with this machine.
public struct Diagnosis {
    public init(configurationFile: String?) {}
    public var text: String { "" }
    public var json: String { get throws { "{}" } }
    public var isHealthy: Bool { true }
}
