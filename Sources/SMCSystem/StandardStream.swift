internal import CSMCShims
internal import Glibc

/// Standard input, output and error, as bytes; every call blocks.
package enum StandardStream: Int32, Sendable {
    case input = 0
    case output = 1
    case error = 2

    /// Whether a person sits at the other end.
    package var isTerminal: Bool { isatty(self.rawValue) == 1 }

    /// Reads at least one byte, unless the stream has ended; 0 at the end.
    @unsafe
    package func read(into buffer: UnsafeMutableRawBufferPointer) throws(SystemCallError) -> Int {
        // SAFETY: the caller vouches for the buffer.
        try retrying("read from standard input") {
            unsafe Glibc.read(self.rawValue, buffer.baseAddress, buffer.count)
        }
    }

    /// Writes all bytes.
    @unsafe
    package func write(_ buffer: UnsafeRawBufferPointer) throws(SystemCallError) {
        var rest = unsafe buffer
        while rest.count > 0 {
            let bytes = unsafe rest
            // SAFETY: the caller vouches for the buffer.
            let count = try retrying("write to standard output") {
                unsafe Glibc.write(self.rawValue, bytes.baseAddress, bytes.count)
            }
            unsafe rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
    }

    /// Writes text; errors do not matter.
    package func write(_ text: String) {
        var text = text
        text.withUTF8 { buffer in
            // SAFETY: the text lives for the call.
            try? unsafe self.write(UnsafeRawBufferPointer(buffer))
        }
    }

    /// A reader that goes away shows as an error of the write, and does not kill the process.
    package static func ignoreBrokenPipes() {
        // SAFETY: ignoring needs no handler.
        _ = signal(SIGPIPE, SIG_IGN)
    }
}
