// Writes the event files that TensorBoard shows: one file for each session of a run, in the run's `logs` folder.

import Foundation

/// What can go wrong with an event file.
public enum TensorBoardError: Error, CustomStringConvertible {
    /// The folder or a new file in it could not be made.
    case cannotCreate(file: String, reason: String)
    /// An event could not be appended.
    case cannotWrite(file: String, reason: String)

    public var description: String {
        switch self {
        case .cannotCreate(let file, let reason):
            "\(file): cannot create the TensorBoard event file: \(reason); "
                + "expected a folder that can be written, check its rights and the free space (df -h)"
        case .cannotWrite(let file, let reason):
            "\(file): cannot append to the TensorBoard event file: \(reason); "
                + "free some space (df -h) and run the same command again"
        }
    }
}

/// Appends events to a new event file; each event reaches the file whole, at once.
public final class TensorBoardWriter {
    /// `events.out.tfevents.<seconds>.<host>.<process>.<number>`.
    public let file: URL
    private let handle: FileHandle

    /// Creates the folder where it is missing, and in it a new file that replaces none.
    public init(folder: URL, time: Double = Date().timeIntervalSince1970) throws {
        do {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        } catch {
            throw TensorBoardError.cannotCreate(file: folder.path, reason: Self.reason(error))
        }
        (file, handle) = try Self.create(in: folder, time: time)
        try append(.init(time: time, step: 0, content: .fileVersion))
    }

    deinit { try? handle.close() }

    /// Appends one event.
    public func append(_ event: TensorBoardEvent) throws {
        do {
            try handle.write(contentsOf: Data(TensorBoardRecord.frame(event.encoded)))
        } catch {
            throw TensorBoardError.cannotWrite(file: file.path, reason: Self.reason(error))
        }
    }

    /// Readers take the files of a folder in the order of their names, so the seconds come first, ten digits wide.
    private static func create(in folder: URL, time: Double) throws -> (URL, FileHandle) {
        let seconds = time.isFinite && abs(time) < 1e12 ? Int(time) : 0
        let digits = String(seconds)
        let padded = String(repeating: "0", count: max(0, 10 - digits.count)) + digits
        let process = ProcessInfo.processInfo
        let host = process.hostName.replacingOccurrences(of: "/", with: "_")
        var problem = "1000 files of this second exist"
        for number in 0..<1000 {
            let name = "events.out.tfevents.\(padded).\(host).\(process.processIdentifier).\(number)"
            let file = folder.appendingPathComponent(name)
            let descriptor = open(file.path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
            if descriptor >= 0 { return (file, FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)) }
            if errno != EEXIST {
                problem = String(cString: strerror(errno))
                break
            }
        }
        throw TensorBoardError.cannotCreate(file: folder.path, reason: problem)
    }

    private static func reason(_ error: any Error) -> String {
        let underlying = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError
        let posix = [error as NSError, underlying].compactMap { $0 }.first { $0.domain == NSPOSIXErrorDomain }
        return posix.map { String(cString: strerror(Int32($0.code))) } ?? error.localizedDescription
    }
}
