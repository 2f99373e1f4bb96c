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

    /// To be called first of all, before anything opens a descriptor. A reader that goes away shows as an error of the
    /// write, and does not kill the process. A stream that is closed stays unusable: its number does not go to the next
    /// socket, which would then get what is meant for standard output.
    package static func prepare() {
        // SAFETY: ignoring needs no handler.
        _ = signal(SIGPIPE, SIG_IGN)
        for stream in [Self.input, .output, .error] where fcntl(stream.rawValue, F_GETFD) == -1 {
            // The lowest free number is this one, as those below are taken. Opened for the other direction, so that every
            // use fails.
            _ = unsafe open("/dev/null", stream == .input ? O_WRONLY : O_RDONLY)
        }
    }
}
