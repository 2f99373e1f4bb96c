import Glibc
import SMCControl
import SMCSystem
import SMCWire

// Hidden behind _GNU_SOURCE in the module that Swift imports; part of Linux's ABI.
@_silgen_name("fallocate") private func allocate(_ descriptor: Int32, _ mode: Int32, _ from: Int, _ count: Int) -> Int32
private let punchHole: Int32 = 3  // FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
private let addSeals: Int32 = 1033
private let setLease: Int32 = 1024
private let setSignal: Int32 = 10

/// Everything that can be done to a descriptor that one was given, while the stream goes on.
struct DescriptorAttacks: ~Copyable {
    private let victim: Victim
    private let holder: String

    init(_ victim: Victim, holder: String) {
        self.victim = victim
        self.holder = holder
    }

    /// - Parameter hypervisor: the path of its socket, to give it what is not asked for.
    func run(_ hypervisor: String) throws {
        try self.victim.echo([1, 2, 3])
        for (name, number) in self.victim.descriptors {
            self.resize(name, number)
            self.seal(name, number)
            self.setFlags(name, number)
            self.map(name, number)
        }
        try self.giveToHypervisor(hypervisor)
        try self.giveToHolder()
        // None of this was the victim's business: the stream still works, on memory that was overwritten with zeros.
        self.clogSignals()
        self.writeOver()
        say("attacked")
    }

    /// Says what came of it; a seal that can be broken is the end of the test.
    private func attempt(_ what: String, _ name: String, mustFail: Bool = false, _ result: Int) {
        let code = errno
        say("\(what) of \(name): \(result < 0 ? String(cString: strerror(code)) : "done")")
        if mustFail, result >= 0 {
            say("hostile peer failed: \(what) of \(name) was possible")
            exit(1)
        }
    }

    private func resize(_ name: String, _ number: Int32) {
        self.attempt("shrinking", name, mustFail: true, Int(ftruncate(number, 0)))
        self.attempt("growing", name, mustFail: true, Int(ftruncate(number, 1 << 30)))
        self.attempt("growing by fallocate", name, mustFail: true, Int(allocate(number, 0, 0, 1 << 30)))
        self.attempt("punching a hole", name, Int(allocate(number, punchHole, 0, 1 << 16)))
    }

    private func seal(_ name: String, _ number: Int32) {
        // Shrink, grow, write, future write, executable, and the seal against sealing.
        for seal in [2, 4, 8, 0x10, 0x20, 1] as [Int32] {
            self.attempt("seal \(seal)", name, mustFail: true, Int(fcntl(number, addSeals, seal)))
        }
        // Nobody opens an array again, so that a lease on one stops nobody.
        for lease in [F_RDLCK, F_WRLCK] {
            let result = Int(fcntl(number, setLease, Int32(lease)))
            self.attempt("lease \(lease)", name, mustFail: name.hasSuffix("SMB"), result)
            _ = fcntl(number, setLease, Int32(F_UNLCK))  // It would stop ourselves below.
        }
        self.attempt("lock", name, Int(flock(number, LOCK_EX | LOCK_NB)))
    }

    /// Flags are those of the open file, which must be nobody else's.
    private func setFlags(_ name: String, _ number: Int32) {
        self.attempt("blocking", name, Int(fcntl(number, F_SETFL, 0)))
        self.attempt("signals to us", name, Int(fcntl(number, F_SETOWN, getpid())))
        self.attempt("a signal of our choice", name, Int(fcntl(number, setSignal, SIGURG)))
        self.attempt("asynchronous", name, Int(fcntl(number, F_SETFL, O_ASYNC | O_APPEND | O_NONBLOCK)))
        self.attempt("blocking", name, Int(fcntl(number, F_SETFL, 0)))
        self.attempt("seeking", name, Int(lseek(number, 1 << 40, SEEK_SET)))
        self.attempt("shutting down", name, Int(shutdown(number, Int32(SHUT_RD))))
    }

    private func map(_ name: String, _ number: Int32) {
        for protection in [PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE | PROT_EXEC] {
            for flags in [MAP_SHARED, MAP_PRIVATE] {
                guard let address = mmap(nil, 1 << 16, protection, flags, number, 0), address != MAP_FAILED else {
                    self.attempt("mapping", name, -1)
                    continue
                }
                for change in [PROT_NONE, PROT_READ | PROT_WRITE | PROT_EXEC, PROT_READ] {
                    self.attempt("protecting", name, Int(mprotect(address, 4096, change)))
                }
                // DONTNEED, REMOVE (which punches a hole), COLD, PAGEOUT.
                for advice in [4, 9, 20, 21] as [Int32] {
                    self.attempt("advice \(advice)", name, Int(madvise(address, 4096, advice)))
                }
                self.attempt("locking", name, Int(mlock(address, 4096)))
                self.attempt("unmapping", name, Int(munmap(address, 1 << 16)))
            }
        }
        let again = open("/proc/self/fd/\(number)", O_RDWR | O_TRUNC)
        self.attempt("opening and cutting", name, mustFail: true, Int(again))
    }

    /// The hypervisor wants no descriptors, and least of all its own.
    private func giveToHypervisor(_ path: String) throws {
        for (name, number) in self.victim.descriptors {
            let socket = try UnixSocket.connect(path: path)
            try socket.send(ControlRequest.hello.encoded(requestID: 1), descriptors: [number, number, number])
            _ = try Readiness.wait(socket.descriptor.rawValue, timeout: .seconds(5))
            self.attempt("giving to the hypervisor", name, 0)
        }
    }

    /// Another process gets everything and keeps it.
    private func giveToHolder() throws {
        let socket = try UnixSocket.connect(path: self.holder)
        try socket.send([1], descriptors: self.victim.descriptors.map(\.number))
        guard try Readiness.wait(socket.descriptor.rawValue, timeout: .seconds(10)) else {
            throw Trouble(description: "the holder does not answer")
        }
    }

    private func clogSignals() {
        for (_, number) in self.victim.descriptors.suffix(2) {
            var most = UInt64.max - 1
            var entry = pollfd(fd: number, events: Int16(POLLOUT), revents: 0)
            for _ in 0..<100_000 {
                guard poll(&entry, 1, 0) == 1, entry.revents & Int16(POLLOUT) != 0 else { break }
                guard send(number, &most, 8, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL)) == 8 else { break }
            }
        }
    }

    private func writeOver() {
        let garbage = [UInt8](repeating: 0xa5, count: 1 << 20)
        for (name, number) in self.victim.descriptors.prefix(4) {
            self.attempt("writing", name, pwrite(number, garbage, garbage.count, 0))
        }
    }
}
