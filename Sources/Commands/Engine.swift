// The program that computes: `lora-engine`, beside `lora`.

import Foundation

/// The program that links the tensor engine.
public enum Engine {
    /// Where this program lies, however it was started.
    static var ownPath: URL {
        let own = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        return own.path.hasPrefix("/proc/")
            ? URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath() : own
    }

    /// Replaces this process with `lora-engine`, given the same arguments.
    public static func become() throws {
        let path = ownPath.deletingLastPathComponent().appendingPathComponent("lora-engine").path
        // OpenMP's threads wait by spinning for so long that any other program on the machine slows training manyfold.
        setenv("GOMP_SPINCOUNT", "10000", 0)
        var arguments: [UnsafeMutablePointer<CChar>?] = ([path] + CommandLine.arguments.dropFirst()).map { strdup($0) }
        arguments.append(nil)
        execv(path, arguments)
        let reason = String(cString: strerror(errno))
        Console.say("\(path): cannot be started: \(reason); run ./lora from the checkout to build it")
        throw ExitStatus(1)
    }
}
