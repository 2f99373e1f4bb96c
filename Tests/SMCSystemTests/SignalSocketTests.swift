import Glibc
import SMCSystem
import Testing

/// Waking a party that is not trusted, and being woken by one.
struct SignalSocketTests {
    @Test func aSignalArrivesAndIsTakenBack() throws {
        let pair = try SignalSocket.makePair()
        let low = pair.low.descriptor.rawValue
        #expect(try !Readiness.wait(low, timeout: .zero))
        pair.high.signal()
        pair.high.signal()
        #expect(try Readiness.wait(low, timeout: .seconds(1)))
        let isAll = pair.low.clear()
        #expect(isAll)
        #expect(try !Readiness.wait(low, timeout: .zero))
        let isStillAll = pair.low.clear()
        #expect(isStillAll, "there was nothing to clear")
    }

    /// Whoever signals without end neither stops itself nor keeps the taker.
    @Test func aFloodNeitherBlocksNorLasts() throws {
        let pair = try SignalSocket.makePair()
        let low = pair.low.descriptor.rawValue
        Self.makeBlocking(low)
        Self.makeBlocking(pair.high.descriptor.rawValue)
        for _ in 0..<10_000 { pair.high.signal() }
        let isDone = pair.low.clear()
        #expect(!isDone, "one call takes a part only")
        var callCount = 1
        while !pair.low.clear(), callCount < 10_000 { callCount += 1 }
        #expect(callCount < 10_000)
        #expect(try !Readiness.wait(low, timeout: .zero))
    }

    /// What the other end does to itself leaves nothing behind here that would be told for ever.
    @Test(arguments: ["shut down", "disconnected", "closed", "talkative"])
    func theOtherEndCannotKeepUsBusy(end: String) throws {
        let (taker, high) = try Self.takeApart(SignalSocket.makePair())
        switch end {
        case "shut down": shutdown(high, Int32(SHUT_RDWR))
        case "disconnected":
            var nobody = sockaddr()
            nobody.sa_family = sa_family_t(AF_UNSPEC)
            #expect(connect(high, &nobody, socklen_t(MemoryLayout<sockaddr>.size)) == 0)
        case "talkative":
            let much = [UInt8](repeating: 7, count: 4096)
            for _ in 0..<10 { #expect(send(high, much, much.count, Int32(MSG_DONTWAIT)) == much.count) }
        default: close(high)
        }
        for _ in 0..<10 { taker.socket.clear() }
        #expect(try !Readiness.wait(taker.socket.descriptor.rawValue, timeout: .zero))
        taker.socket.signal()  // Does not trap, and raises no SIGPIPE.
        if end != "closed" { close(high) }
    }

    private final class Taker {
        let socket: SignalSocket

        init(_ socket: consuming SignalSocket) {
            self.socket = socket
        }
    }

    /// One end, and the number of the other, which the caller closes.
    private static func takeApart(_ pair: consuming SignalSocket.Pair) throws -> (Taker, Int32) {
        let low = Taker(SignalSocket(adopting: try pair.low.descriptor.duplicate()))
        return (low, try pair.high.descriptor.duplicate().release())
    }

    private static func makeBlocking(_ descriptor: Int32) {
        #expect(fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL, 0) & ~O_NONBLOCK) == 0)
    }
}
