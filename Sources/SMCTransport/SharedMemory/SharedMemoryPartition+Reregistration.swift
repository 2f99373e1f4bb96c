internal import SMCControl
internal import SMCSystem
internal import SMCWire
internal import Synchronization

/// After the death of a hypervisor: connections go on, and the next one is told of them.
extension SharedMemoryPartition {
    private enum SearchLimits {
        static let firstDelay: Duration = .milliseconds(100)
        static let longestDelay: Duration = .seconds(2)
    }

    /// Maps an SMB's memory, and remembers it for the next hypervisor.
    func hold(
        _ file: consuming MemoryFile, _ ringByteCount: Int, on vlan: VLANID?, _ right: HeldSMB.Right,
        of session: HypervisorSession
    ) throws(ControlError) -> HeldSMB {
        let number = self.state.withLock { state in
            state.lastHeld += 1
            return state.lastHeld
        }
        let smb: HeldSMB
        do throws(SystemCallError) {
            smb = try HeldSMB(
                file, number: number, ringByteCount: ringByteCount, on: vlan, right, of: session)
        } catch {
            throw .system(error)
        }
        self.state.withLock { $0.held[number] = WeakHeldSMB(smb: smb) }
        return smb
    }

    /// We do not use it any more. The hypervisor is told by ``HeldSMB/giveBack(to:)``.
    func letGo(_ smb: HeldSMB) {
        self.state.withLock { state in _ = state.held.removeValue(forKey: smb.number) }
        smb.mapping.detach()
        FaultPoint.reach("detached")
    }

    /// On the worker: tells a hypervisor that we have just joined what an earlier one knew.
    func reregister(_ session: HypervisorSession, _ membership: Membership) throws(ControlError) {
        let (held, reports) = self.state.withLock { state in
            state.held = state.held.filter { $0.value.smb != nil }
            return (state.held.sorted { $0.key < $1.key }.compactMap(\.value.smb), Array(state.reports.values))
        }
        for smb in held { try smb.reregister(session, membership) }
        for report in reports {
            do throws(ControlError) {
                try session.report(report)
            } catch {
                guard case .refused = error else { throw error }
            }
        }
    }

    /// Looks for a hypervisor again and again while we have SMBs. One that answers is joined; none is started: nobody
    /// needs one for what goes on without.
    func search() {
        let begins = self.state.withLock { state in
            guard !state.hasLeft, !state.isSearching, state.held.contains(where: { $0.value.smb != nil }) else {
                return false
            }
            state.isSearching = true
            return true
        }
        if begins { self.searchLater(SearchLimits.firstDelay) }
    }

    private func searchLater(_ delay: Duration) {
        self.loop.schedule(after: delay) { [weak self] in
            guard let self else { return }
            // The loop must not wait for a hypervisor's answer.
            self.worker.enqueue { self.searchOnce(nextDelay: min(delay * 2, SearchLimits.longestDelay)) }
        }
    }

    private func searchOnce(nextDelay: Duration) {
        let isWanted = self.state.withLock { state in
            let isWanted =
                !state.hasLeft && state.joined == nil && state.held.contains(where: { $0.value.smb != nil })
            if !isWanted { state.isSearching = false }
            return isWanted
        }
        guard isWanted else { return }
        do throws(ControlError) {
            try self.join(by: self.locator.withoutStarting)
            self.state.withLock { $0.isSearching = false }
            // It may have been lost again before we were done; then nobody has begun another search.
            if self.state.withLock({ $0.joined == nil }) { self.search() }
        } catch {
            self.searchLater(nextDelay)
        }
    }
}

extension HypervisorLocator {
    /// The same place, but nobody is started there.
    fileprivate var withoutStarting: HypervisorLocator {
        guard case .automatic(var settings) = self else { return self }
        settings.startsHypervisor = false
        return .automatic(settings)
    }
}
