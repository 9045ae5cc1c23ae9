// Commands as one pastes them.

extension String {
    /// The text as one word of a shell command, quoted where it must be; line ends become spaces.
    public var shellWord: String {
        let plain = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=,+@%")
        if !isEmpty, allSatisfy(plain.contains) { return self }
        let line = split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).joined(separator: " ")
        return "'" + line.replacing("'", with: "'\\''") + "'"
    }
}
