// One turn of a conversation.

/// One turn of a conversation: who speaks, and what is said.
public struct ChatMessage: Codable, Sendable, Equatable {
    /// `system`, `user`, `assistant` or `tool`, as the model's template knows them.
    public var role: String
    public var content: String

    public init(role: String, content: String) {
        self.role = role
        self.content = content
    }
}
