import ArgumentParser
import Foundation
import SMCControl
import SMCSystem
import SMCWire

/// `smc session`: a partition by hand, instruction by instruction.
struct SessionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "session",
        abstract: "Be a partition by hand: give the hypervisor one instruction a line.",
        discussion: """
            Reads instructions from standard input and answers each with one JSON object on a line. For learning, for \
            tests, and to see what a hypervisor grants. SMBs get short names: s1, s2 ... are own ones, p1, p2 ... those \
            of peers that were accepted; tokens are never shown.

              join NAME [VLAN ...]            establish VLAN            addresses
              withdraw SM-GID [force]         query SM-GID
              create SIZE [SM-GID]            destroy SMB               renew SMB
              bind SMB SM-GID                 bindings SMB              unbind SMB [SM-GID]
              accept OFFER SM-GID             reject OFFER SM-GID
              read SMB OFFSET COUNT           write SMB OFFSET TEXT
              compare-and-move SMB OFFSET EXPECTED NEW
              signal SMB [SM-GID]             status-bits PAIR

            The session ends with standard input, and takes everything with it.

            Exit codes: 0 all was granted, 6 there is no hypervisor, 7 something was refused, 64 wrong usage.
            """)

    @Option(help: "The hypervisor that listens there. [default: the system's, else your own]")
    var socket: String?

    func run() throws {
        var options = AdminOptions()
        options.socket = self.socket
        options.json = true
        let session = try options.withSession { session throws(ControlError) in session }
        var instructor = Instructor(session: session)
        var isGranted = true
        while let line = readLine() {
            let words = line.split(separator: " ").map(String.init)
            guard let verb = words.first, !verb.hasPrefix("#") else { continue }
            let answer: [String: Any]
            do {
                answer = try instructor.perform(verb, Array(words.dropFirst()), line)
            } catch let error as ControlError {
                isGranted = false
                answer = ["code": Self.code(error), "error": "\(error)"]
            } catch let error as Instructor.Misuse {
                isGranted = false
                answer = ["code": "wrong-usage", "error": error.text]
            }
            let data = try JSONSerialization.data(
                withJSONObject: answer, options: [.sortedKeys, .withoutEscapingSlashes])
            print(String(decoding: data, as: UTF8.self))
            // Whoever asks through a pipe waits for this line.
            fflush(nil)
        }
        if !isGranted { throw AdminOptions.refused }
    }

    private static func code(_ error: ControlError) -> String {
        if case .refused(let refusal, _) = error { refusal.name } else { "failed" }
    }
}

/// Turns words into instructions, and answers into JSON.
struct Instructor {
    /// The line makes no sense.
    struct Misuse: Error {
        var text: String
    }

    private let session: HypervisorSession
    private var owned: [String: OwnerToken] = [:]
    private var accepted: [String: BufferToken] = [:]
    /// By the name of the SMB, and the peer where there may be several.
    private var signals: [String: SignalToken] = [:]
    private var defaultAddress: SMGID?
    private var lastNumber = 0

    init(session: HypervisorSession) {
        self.session = session
    }

    mutating func perform(_ verb: String, _ words: [String], _ line: String) throws -> [String: Any] {
        switch verb {
        case "join", "establish", "addresses", "withdraw", "query": return try self.address(verb, words)
        case "create", "destroy", "renew": return try self.own(verb, words)
        case "bind", "bindings", "accept", "reject", "unbind": return try self.binding(verb, words)
        case "read", "write", "compare-and-move", "signal", "status-bits": return try self.data(verb, words, line)
        default: throw Misuse(text: "there is no instruction '\(verb)'; `smc help session` lists them")
        }
    }

    // MARK: Words

    private static func word(_ words: [String], _ index: Int, _ what: String) throws -> String {
        guard index < words.count else { throw Misuse(text: "the \(what) is missing") }
        return words[index]
    }

    private static func number(_ words: [String], _ index: Int, _ what: String) throws -> Int {
        guard let number = Int(try Self.word(words, index, what)), number >= 0 else {
            throw Misuse(text: "the \(what) is no number: \(words[index])")
        }
        return number
    }

    private static func word64(_ words: [String], _ index: Int, _ what: String) throws -> UInt64 {
        guard let number = UInt64(try Self.word(words, index, what)) else {
            throw Misuse(text: "the \(what) is no number: \(words[index])")
        }
        return number
    }

    private static func vlan(_ word: String) throws -> VLANID {
        guard let vlan = VLANID(word) else { throw Misuse(text: "'\(word)' is no name for a VLAN") }
        return vlan
    }

    /// As ``SMGID/description`` writes it.
    private static func smgid(_ words: [String], _ index: Int) throws -> SMGID {
        let halves = try Self.word(words, index, "SM-GID").split(separator: ":").map { UInt64($0, radix: 16) }
        guard halves.count == 2, let gid = halves[0], let extendedGID = halves[1] else {
            throw Misuse(
                text: "'\(words[index])' is no SM-GID: it is two hexadecimal numbers with a colon between them")
        }
        return SMGID(gid: gid, extendedGID: extendedGID)
    }

    private static func offer(_ words: [String]) throws -> OfferToken {
        guard let number = UInt64(try Self.word(words, 0, "offer"), radix: 16) else {
            throw Misuse(text: "'\(words[0])' is no offer: it is what bind answered")
        }
        return OfferToken(rawValue: number)
    }

    private func owner(_ words: [String]) throws -> OwnerToken {
        let name = try Self.word(words, 0, "SMB")
        guard let token = self.owned[name] else {
            throw Misuse(text: "'\(name)' is no SMB of ours; create answers names")
        }
        return token
    }

    private func access(_ words: [String]) throws -> BufferAccess {
        if let token = self.accepted[try Self.word(words, 0, "SMB")] { return .peer(token) }
        return .owner(try self.owner(words))
    }

    private mutating func newName(_ letter: String) -> String {
        self.lastNumber += 1
        return "\(letter)\(self.lastNumber)"
    }

    // MARK: Instructions

    private mutating func address(_ verb: String, _ words: [String]) throws -> [String: Any] {
        switch verb {
        case "join":
            let vlans = try words.dropFirst().map { try Self.vlan($0) }
            let membership = try self.session.join(name: try Self.word(words, 0, "name"), vlans: vlans)
            self.defaultAddress = membership.addresses.first?.smgid
            return ["addresses": Self.json(membership.addresses), "largest": membership.largestRingByteCount]
        case "establish":
            let address = try self.session.establish(try Self.vlan(try Self.word(words, 0, "VLAN")))
            return ["addresses": Self.json([address])]
        case "addresses": return ["addresses": Self.json(try self.session.addresses())]
        case "withdraw":
            try self.session.withdraw(try Self.smgid(words, 0), isForced: words.dropFirst().first == "force")
            return Self.done
        default:
            switch try self.session.queryCommonCEC(try Self.smgid(words, 0)) {
            case .common(let vlan): return ["common": true, "vlan": vlan.name]
            case .notCommon(let refusal, let text): return ["common": false, "code": refusal.name, "reason": text]
            }
        }
    }

    private static var done: [String: Any] { ["done": true] }

    private static func json(_ addresses: [Membership.Address]) -> [[String: String]] {
        addresses.map { ["vlan": $0.vlan.name, "smgid": "\($0.smgid)"] }
    }

    private mutating func own(_ verb: String, _ words: [String]) throws -> [String: Any] {
        switch verb {
        case "create":
            guard let size = ByteCount(argument: try Self.word(words, 0, "size")) else {
                throw Misuse(text: "'\(words[0])' is no size")
            }
            guard let address = try words.count > 1 ? Self.smgid(words, 1) : self.defaultAddress else {
                throw Misuse(text: "join first")
            }
            let record = try self.session.createUnmappedSMB(ringByteCount: size.value, on: address)
            let name = self.newName("s")
            self.owned[name] = record.owner
            return ["smb": name, "ringByteCount": record.ringByteCount, "fileByteCount": record.fileByteCount]
        case "destroy":
            try self.session.destroy(try self.owner(words))
            self.owned[words[0]] = nil
        default: _ = try self.session.renew(try self.owner(words))
        }
        return Self.done
    }

    private mutating func binding(_ verb: String, _ words: [String]) throws -> [String: Any] {
        switch verb {
        case "bind":
            let peer = try Self.smgid(words, 1)
            let bound = try self.session.bind(try self.owner(words), to: peer)
            let offer = "\(bound.offer)"
            let grant = bound.takeSignal()
            self.signals["\(words[0]) \(peer)"] = grant.token
            return ["offer": offer, "pair": grant.pair, "bit": grant.bit]
        case "bindings":
            let records = try self.session.bindings(try self.owner(words))
            return ["bindings": records.map { ["peer": "\($0.peer)", "accepted": $0.isAccepted] as [String: Any] }]
        case "accept":
            let right = try self.session.acceptUnmapped(try Self.offer(words), from: try Self.smgid(words, 1))
            let name = self.newName("p")
            self.accepted[name] = right.record.buffer
            let ringByteCount = right.record.ringByteCount
            let grant = right.takeSignal()
            self.signals[name] = grant.token
            return ["smb": name, "ringByteCount": ringByteCount, "pair": grant.pair, "bit": grant.bit]
        case "reject": try self.session.reject(try Self.offer(words), from: try Self.smgid(words, 1))
        default:
            if let token = self.accepted[try Self.word(words, 0, "SMB")] {
                try self.session.unbind(token)
                self.accepted[words[0]] = nil
            } else {
                try self.session.unbind(try self.owner(words), from: try words.count > 1 ? Self.smgid(words, 1) : nil)
            }
        }
        return Self.done
    }

    private func data(_ verb: String, _ words: [String], _ line: String) throws -> [String: Any] {
        switch verb {
        case "read":
            let bytes = try self.session.read(
                try self.access(words), offset: try Self.number(words, 1, "offset"),
                byteCount: try Self.number(words, 2, "count"))
            let hexadecimal = bytes.map { String(format: "%02x", $0) }.joined()
            return ["bytes": hexadecimal, "text": String(decoding: bytes, as: UTF8.self)]
        case "write":
            let offset = try Self.number(words, 1, "offset")
            _ = try Self.word(words, 2, "text")
            // All of the line behind the offset, with its spaces.
            let text = line.split(separator: " ", maxSplits: 3).last ?? ""
            try self.session.write(try self.access(words), offset: offset, bytes: Array(text.utf8))
            return Self.done
        case "compare-and-move":
            let original = try self.session.compareAndMove(
                try self.access(words), offset: try Self.number(words, 1, "offset"),
                expected: try Self.word64(words, 2, "expected word"), desired: try Self.word64(words, 3, "new word"))
            return ["original": original]
        case "signal":
            guard let token = self.signals[words.joined(separator: " ")] else {
                throw Misuse(
                    text: "there is no signal for '\(words.joined(separator: " "))': name an accepted SMB, or one "
                        + "of ours and the SM-GID of a peer")
            }
            try self.session.signal(token)
            return Self.done
        default:
            let set = try self.session.takeStatusBits(pair: try Self.word64(words, 0, "pair"))
            let bits = set.enumerated().flatMap { index, word in
                (0..<64).filter { word >> UInt64($0) & 1 == 1 }.map { index * 64 + $0 }
            }
            return ["bits": bits]
        }
    }
}
