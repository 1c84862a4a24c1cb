import Authorization
import CoordinationAPI
import Datapath
import Logging
import Mesh

// A map on its way: heard, checked, kept, believed, acted on.
extension Node {
    /// Takes an event of the coordinator's stream.
    func take(_ event: MapEvent, asked: BootTime?, received: BootTime) async throws(NodeError) {
        let certificates = await verifier.certificates(in: event, after: belief)
        // From here on nothing waits: what is checked against is what is changed.
        try time.hear(event.issuedAt, asked: asked, received: received)
        var change = try verifier.check(event, certificates: certificates, after: belief, floor: seen?.position)
        keepLeaseIfNear(&change)
        if change.isMereTime, let belief, change.validUntil == belief.map.validUntil,
            change.sessionLease == belief.sessionLease, !belief.mustLook(at: change)
        {
            // What stood at the version before stands at this one.
            if reconciledVersion == belief.map.version { reconciledVersion = change.version }
            self.belief?.pass(change)
        } else {
            keep(event, change)
            act(on: change)
        }
        keepSeen()
        if !journal.isThere || journal.isLong { keepWhole() }
        wakeWaiters()
        applied.yield()
    }

    /// Believes a change and brings the machine to it.
    private func act(on change: BelievedChange) {
        belief.apply(change, mesh: membership.mesh, pool: membership.pool)
        if change.touchesPolicy { isPolicyStale = true }
        adoptNextKey()
        adoptNextSessionKeys()
        endForgottenSessions()
        // What goes is gone before the disk is waited for again, and whatever else is to be done.
        cutOff()
        // Many changes at once are brought to the devices once.
        changed.yield()
    }

    /// Reads the policies again, where something that they speak of has changed.
    func readPolicyIfStale() {
        guard let map, isPolicyStale else { return }
        isPolicyStale = false
        do { policy = try PolicySnapshot(map, after: policy) } catch {
            policy = nil
            log.error("the policies of map \(map.version) cannot be read: \(error)")
        }
    }

    /// Often enough that hardly any of the 24 h is lost, seldom enough that the tables of an idle node stay.
    static let leaseStep = Duration.seconds(300)

    /// A lease that grows by a little is left as it is, unless a little is much of it.
    private func keepLeaseIfNear(_ change: inout BelievedChange) {
        guard let known = belief?.map.validUntil, change.validUntil >= known,
            change.validUntil - known <= min(Self.leaseStep, (change.validUntil - change.issuedAt) / 4)
        else { return }
        change.validUntil = known
    }
}

// MARK: - On the disk

extension Node {
    /// Writes down what is about to be acted on.
    private func keep(_ event: MapEvent, _ change: BelievedChange) {
        var record = SavedRecord.event(event)
        if change.isWhole {
            // What must never come back stays known across a whole map.
            var next = belief
            next.apply(change, mesh: membership.mesh, pool: membership.pool)
            guard let next else { return }
            record = .map(next.saved)
        }
        note(journal.keep(record, takesAway: !change.isMereTime))
    }

    /// Writes down what a session's node said without the coordinator.
    func keep(_ envelope: Envelope, at now: Timestamp) {
        note(journal.keep(.said(envelope, at: now), takesAway: true))
    }

    private func note(_ outcome: MapJournal.Outcome) {
        switch outcome {
        case .kept: unsaved = nil
        case .missing(let reason): log.warning("the map is not kept: \(reason)")
        case .stale(let reason):
            unsaved = "the map on the disk is older than what is known, and a restart would go back to it: \(reason)"
            log.error("\(unsaved ?? "")")
        }
    }

    /// Writes the whole map anew, where there is none, or where too many changes lie behind it.
    private func keepWhole() {
        guard let belief, belief.checkpoint != nil else { return }
        do {
            try journal.replace(with: belief.saved)
            unsaved = nil
        } catch { log.debug("the map is not kept: \(error)") }
    }

    private func keepSeen() {
        let position = [seen?.position, belief?.checkpoint.map { Position($0.checkpoint) }].compactMap(\.self).max()
        let next = Seen(position: position, clock: time, bootID: bootID)
        if let seen, seen.position == position, seen.utc == next.utc, seen.boot == next.boot,
            next.time - seen.time < Self.leaseStep
        {
            return
        }
        do {
            try state.write(.seen, try JSON.encode(next))
            seen = next
        } catch { log.error("what the coordinator was seen to be is not kept: \(error)") }
    }

    /// Takes the last good map from the disk, for a start without the coordinator.
    func restore() async {
        do {
            for record in try journal.load() { try await restore(record) }
            guard let belief else { return }
            if let position = seen?.position, belief.checkpoint.map({ Position($0.checkpoint) < position }) ?? true {
                throw NodeError("it is older than what this node has seen")
            }
            log.info("the saved map is version \(map?.version ?? 0), of \(map?.issuedAt.description ?? "no time")")
        } catch {
            belief = nil
            log.error("the saved map is not used: \(error)")
        }
        guard belief != nil else { return }
        adoptNextKey()
        adoptNextSessionKeys()
        endForgottenSessions()
        reconcile()
    }

    private func restore(_ record: SavedRecord) async throws(NodeError) {
        switch record {
        case .map(let saved):
            try await restore(saved.event)
            belief?.remember(saved)
        case .event(let event): try await restore(event)
        case .said(let envelope, let now):
            guard let belief, let news = try? belief.news(in: envelope, now: now) else { return }
            self.belief?.take(news)
        }
    }

    private func restore(_ event: MapEvent) async throws(NodeError) {
        let certificates = await verifier.certificates(in: event, after: belief)
        // The journal itself may be behind what was seen: its lease is what bounds it.
        let change = try verifier.check(event, certificates: certificates, after: belief)
        belief.apply(change, mesh: membership.mesh, pool: membership.pool)
        time.recall(event.issuedAt, boot: .now())
    }
}

// MARK: - Waiting

extension Node {
    /// Waits until the map is as it should be, or for as long as patience lasts.
    func waitForMap(within patience: Duration, until isThere: @escaping @Sendable (NetworkMap) -> Bool) async {
        if let map, isThere(map) { return }
        lastWaiter += 1
        let number = lastWaiter
        await withDiscardingTaskGroup { group in
            group.addTask {
                try? await Task.sleep(for: patience)
                await self.wake(number)
            }
            await withCheckedContinuation { waiters[number] = (isThere, $0) }
            group.cancelAll()
        }
    }

    private func wake(_ number: Int) { waiters.removeValue(forKey: number)?.1.resume() }

    private func wakeWaiters() {
        guard let map else { return }
        for (number, waiter) in waiters where waiter.0(map) { wake(number) }
    }
}

// MARK: - Time

extension Node {
    /// UTC, if this machine knows it: the coordinator has said it, and the clock on the wall agrees.
    var trustedNow: Timestamp? {
        let boot = BootTime.now()
        return time.trust(wall: wall(), boot: boot).isTrusted ? time.utc(at: boot) : nil
    }

    /// What is wrong with the node's knowledge, whatever the machine is like.
    var standingProblems: [String] {
        [hindrance, unsaved, certificateError, time.trust(wall: wall(), boot: .now()).problem].compactMap(\.self)
    }

    /// Somebody set the clock, a window opens or closes, or the machine woke up.
    func ring() {
        time.look(wall: wall(), boot: .now())
        reconcile()
    }
}

extension BelievedChange {
    /// Nothing but time has passed.
    var isMereTime: Bool {
        !isWhole && chain == nil && checkpoint == nil && definitions.isEmpty && removed.isEmpty && nodes.isEmpty
            && removedNodes.isEmpty && sessions.isEmpty && removedSessions.isEmpty && complaints.isEmpty
    }

    var touchesPolicy: Bool {
        isWhole || !definitions.isEmpty || !removed.isEmpty || !nodes.isEmpty || !removedNodes.isEmpty
    }
}

extension BelievedMap {
    /// Whether time alone ends something.
    func mustLook(at change: BelievedChange) -> Bool { change.issuedAt > firstEnd }

    /// Notes that the coordinator said the same again.
    mutating func pass(_ change: BelievedChange) { (map.version, map.issuedAt) = (change.version, change.issuedAt) }
}
