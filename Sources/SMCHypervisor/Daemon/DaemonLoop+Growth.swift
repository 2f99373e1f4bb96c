internal import Logging
internal import SMCWire

/// A growth of a pool that somebody waits for.
struct PendingGrowth {
    let maker: BlockMaker
    /// What is answered when all of it is there.
    let response: ControlResponse
    let requestID: UInt32
    let session: DaemonSession
}

/// Growing pools while others are served: a piece at a time, the answer when all is there.
extension DaemonLoop {
    /// Whether the answer must wait for memory that is made first.
    func postpone(_ outcome: Outcome, requestID: UInt32, _ session: DaemonSession) -> Bool {
        guard case .makeBlocks(let growth)? = outcome.effects.first else { return false }
        self.growths.append(
            PendingGrowth(
                maker: BlockMaker(growth), response: outcome.response, requestID: requestID, session: session))
        return true
    }

    func growPools(byteLimit: Int) {
        guard let pending = self.growths.first else { return }
        let growth = pending.maker.growth
        guard self.sessions[pending.session.caller.rawValue] === pending.session else {
            self.growths.removeFirst()  // Nobody waits for it any more; what was made goes with it.
            return
        }
        guard self.blocks.count + growth.blockCount <= self.blocksMaximum else {
            return self.finish(
                pending,
                .refused(
                    .outOfResources,
                    "The pool would have \(self.blocks.count + growth.blockCount) blocks, but this hypervisor may open "
                        + "files for \(self.blocksMaximum) only; raise its `ulimit -n`."))
        }
        do throws(BlockMakerError) {
            try pending.maker.make(byteLimit: byteLimit)
        } catch {
            return self.finish(
                pending,
                .refused(.outOfResources, "Pool \(growth.pool) cannot grow by \(growth.byteCount) bytes: \(error)."))
        }
        guard pending.maker.isDone else { return }
        self.blocks.add(pending.maker.made, as: self.hypervisor.grown(growth))
        self.logger.notice(
            "pool \(growth.pool) has grown by \(growth.byteCount) bytes", metadata: Self.metadata(pending.session))
        self.finish(pending, pending.response)
    }

    private func finish(_ pending: PendingGrowth, _ response: ControlResponse) {
        self.growths.removeFirst()
        if case .refused(let code, let text) = response {
            self.administration.note(AuditRecord.Action.growPool.rawValue, pending.session, code, text)
            self.logger.warning("refused: \(text)", metadata: Self.metadata(pending.session))
        }
        if !self.answer(response, requestID: pending.requestID, [], pending.session) {
            self.end(pending.session.caller.rawValue, "it does not read its answers, or is gone")
        }
    }
}
