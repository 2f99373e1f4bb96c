import Glibc

/// Numbers in files of a directory that both hosts see.
enum Files {
    static func write(_ values: [UInt64], to path: String) throws {
        guard let file = fopen(path + ".new", "w") else { throw ProbeFailure("cannot write \(path)") }
        fputs(values.map { String($0) }.joined(separator: " ") + "\n", file)
        fclose(file)
        try require(rename(path + ".new", path) == 0, "cannot rename \(path)")
    }

    /// Waits for the file, for a minute at most.
    static func read(_ path: String) throws -> [UInt64] {
        for _ in 0..<1200 {
            if let file = fopen(path, "r") {
                defer { fclose(file) }
                var line = [CChar](repeating: 0, count: 512)
                guard fgets(&line, 512, file) != nil else { throw ProbeFailure("\(path) is empty") }
                let bytes = line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
                return String(decoding: bytes, as: UTF8.self).split { $0 == " " || $0 == "\n" }
                    .compactMap { UInt64($0) }
            }
            usleep(50_000)
        }
        throw ProbeFailure("nobody wrote \(path)")
    }
}
