import Glibc
import SMCControl
import SMCSystem
import SMCTesting

/// A peer that shakes hands as it should, streams for a while, and then does what it can to whoever is at the other end.
/// Run by IntegrationTests; its victim is `smc listen --echo`.
@main
struct HostilePeer {
    static func main() {
        let words = Array(CommandLine.arguments.dropFirst())
        do {
            switch (words.first, words.count) {
            case ("scribble", 5):
                guard let port = UInt16(words[2]), let seed = UInt64(words[3]), let milliseconds = Int64(words[4])
                else { fallthrough }
                try Scribbler.run(Victim(socket: words[1], port: port), seed, .milliseconds(milliseconds))
            case ("descriptors", 4):
                guard let port = UInt16(words[2]) else { fallthrough }
                try DescriptorAttacks(Victim(socket: words[1], port: port), holder: words[3]).run(words[1])
            case ("hold", 2):
                try Holder.run(socketPath: words[1])
            default:
                say("usage: hostile-peer scribble SOCKET PORT SEED MS | descriptors SOCKET PORT HOLDER | hold PATH")
                exit(64)
            }
            say("hostile peer done")
        } catch {
            say("hostile peer failed: \(error)")
            exit(1)
        }
    }
}

/// Why the program itself could not do its work.
struct Trouble: Error, CustomStringConvertible {
    var description: String
}

/// A line that is there even if the program is killed next.
func say(_ text: String) {
    let line = Array("\(text)\n".utf8)
    _ = write(2, line, line.count)
}
