internal import BloomBase
internal import BloomSchedule
internal import BloomHTTP
internal import BloomLedger
internal import BloomNet
internal import BloomStore
internal import BloomWire

/// What the operator asks over the local socket of the data folder.
///
/// The socket file has mode 0600: whoever may open it is the operator, so there is no other check.
struct AdminRoutes: Sendable {
  let account: AccountRoutes
  let time: any TimeSource
  let startedAt: Instant
  let stop: CoordinatorService.StopSwitch
  /// Makes the link that carries an invitation.
  let link: @Sendable (_ code: String, _ isForMachine: Bool) -> String

  func router() -> Router {
    var router = Router()
    addAccounts(to: &router)
    addKeysAndInvites(to: &router)
    addRest(to: &router)
    addProcess(to: &router)
    return router
  }

  private func addProcess(to router: inout Router) {
    router.post("/status") { _ in try await AccountAnswer.make { await status() } }
    router.post("/drain") { _ in
      try await AccountAnswer.make {
        stop.stop()
        return await status()
      }
    }
  }

  private func status() async -> JSONValue {
    let hub = account.hub
    let now = time.now()
    return .members([
      "draining": .bool(await hub.isDraining), "requests": .integer(await hub.relayCount),
      "nodes_connected": .integer(await hub.nodeCount),
      "nodes_ready": .integer(await hub.readyNodeCount),
      "uptime_seconds": .integer(Int((now - startedAt).components.seconds)),
      "resident_bytes": ProcessFacts.current().map { .integer($0.residentBytes) } ?? .null,
    ])
  }

  private func addAccounts(to router: inout Router) {
    let accounts = account.accounts
    let store = account.store
    router.post("/accounts/list") { _ in
      try await AccountAnswer.make {
        .members([
          "accounts": .array(
            accounts.all().map { AccountJSON.account($0, store.balance(of: $0.account)) })
        ])
      }
    }
    router.post("/accounts/create") { request in
      try await AccountAnswer.make {
        let body = try await JSONBody(request)
        guard let name = AccountID(try body.needed("account")),
          !SystemAccount.isReserved(name)
        else {
          throw AccountError(.invalid, "an account is named by 1 to 64 of a-z 0-9 . _ : -")
        }
        let record = AccountRecord(
          account: name, name: try AccountError.check(name: body.text("name") ?? name.rawValue),
          createdAt: account.time.unixTime())
        try await accounts.write([.put(record, if: .absent)])
        return AccountJSON.account(record, store.balance(of: name))
      }
    }
    router.post("/accounts/block") { request in
      try await AccountAnswer.make {
        let body = try await JSONBody(request)
        let reason = try AccountError.check(name: body.text("reason") ?? "blocked by the operator")
        let record = try await accounts.block(try body.needed("account"), reason: reason)
        await account.hub.membershipChanged()
        return AccountJSON.account(record, store.balance(of: record.account))
      }
    }
    router.post("/accounts/unblock") { request in
      try await AccountAnswer.make {
        let body = try await JSONBody(request)
        let record = try await accounts.block(try body.needed("account"), reason: "")
        await account.hub.membershipChanged()
        return AccountJSON.account(record, store.balance(of: record.account))
      }
    }
    router.post("/accounts/grant") { request in
      try await AccountAnswer.make {
        let body = try await JSONBody(request)
        let record = try accounts.account(try body.needed("account"))
        guard let amount = try body.integer("micros", in: 1...1_000_000_000_000_000) else {
          throw AccountError(.invalid, "micros must be a whole number above 0")
        }
        // The key makes a repeated call harmless.
        let key = try body.text("key", upTo: 100) ?? "admin:\(Int.random(in: 0..<Int.max))"
        try await store.apply(.grant(key: key, record.account, Micros(amount)))
        return AccountJSON.account(record, store.balance(of: record.account))
      }
    }
  }

  private func addKeysAndInvites(to router: inout Router) {
    let accounts = account.accounts
    let time = account.time
    router.post("/keys/list") { request in
      try await AccountAnswer.make {
        let record = try accounts.account(try await JSONBody(request).needed("account"))
        let now = time.unixTime()
        return .members([
          "keys": .array(
            accounts.keys(of: record.account).map {
              AccountJSON.key($0, accounts.spend(of: $0, now: now))
            })
        ])
      }
    }
    router.post("/keys/create") { request in
      try await AccountAnswer.make {
        let body = try await JSONBody(request)
        let record = try accounts.account(try body.needed("account"))
        return try await account.makeKey(body, of: record.account)
      }
    }
    router.post("/keys/revoke") { request in
      try await AccountAnswer.make {
        let body = try await JSONBody(request)
        let record = try accounts.account(try body.needed("account"))
        let key = try await accounts.revoke(
          try body.needed("id"), of: record.account, now: time.unixTime())
        return AccountJSON.key(key, nil)
      }
    }
    router.post("/invites/list") { _ in
      try await AccountAnswer.make {
        .members(["invites": .array(accounts.invites().map { AccountJSON.invite($0) })])
      }
    }
    router.post("/invites/create") { request in
      try await AccountAnswer.make { try await invite(try await JSONBody(request)) }
    }
    router.post("/invites/revoke") { request in
      try await AccountAnswer.make {
        let id = try await JSONBody(request).needed("id")
        try await accounts.revokeInvite(id)
        return .members(["id": .string(id)])
      }
    }
  }

  private func invite(_ body: JSONBody) async throws -> JSONValue {
    let inviter = try account.accounts.account(
      try body.text("account") ?? CoordinatorProgram.admin.rawValue)
    let purpose: InviteRecord.Purpose
    switch try body.text("for") ?? "user" {
    case "user": purpose = .user
    case "node": purpose = .node
    default: throw AccountError(.invalid, "for must be user or node")
    }
    let seconds = try body.integer("expires_in", in: 60...315_360_000) ?? 604_800
    let made = try await account.accounts.invite(
      purpose, by: inviter.account,
      credit: Micros(try body.integer("micros", in: 0...1_000_000_000_000) ?? 0),
      uses: Int(try body.integer("uses", in: 1...10_000) ?? 1),
      expires: account.time.unixTime() + seconds)
    return .members([
      "link": .string(link(made.code, purpose == .node)), "invite": AccountJSON.invite(made.record),
    ])
  }

  private func addRest(to router: inout Router) {
    let pools = account.pools
    let enrolment = account.enrolment
    let hub = account.hub
    router.post("/nodes/list") { _ in
      try await AccountAnswer.make {
        let connected = await hub.connectedNodes
        return .members([
          "nodes": .array(
            enrolment.nodes(of: nil).map {
              AccountJSON.node($0, isConnected: connected.contains($0.node))
            })
        ])
      }
    }
    router.post("/nodes/remove") { request in
      try await AccountAnswer.make {
        let text = try await JSONBody(request).needed("node")
        let known = enrolment.nodes(of: nil).filter { $0.id.hasPrefix(text) }
        guard text.utf8.count >= 8, known.count == 1, let node = known.first else {
          throw AccountError(.notFound, "no enrolled machine has that id")
        }
        try await enrolment.leave(node.node, owner: nil)
        await hub.membershipChanged()
        return AccountJSON.node(node, isConnected: false)
      }
    }
    router.post("/pools/list") { _ in
      try await AccountAnswer.make {
        let connected = await hub.connectedNodes
        return .members([
          "pools": .array(
            pools.all().map {
              AccountJSON.pool($0, pools.machines(of: $0), connected: connected)
            })
        ])
      }
    }
    router.post("/pools/remove") { request in
      try await AccountAnswer.make {
        let name = try await JSONBody(request).needed("pool")
        guard let pool = pools.pool(name) else {
          throw AccountError(.notFound, "there is no pool of that name")
        }
        try await pools.delete(pool, by: CoordinatorProgram.admin)
        await hub.membershipChanged()
        return .members(["pool": .string(name)])
      }
    }
    router.post("/approve") { request in
      try await AccountAnswer.make {
        let body = try await JSONBody(request)
        let record = try account.accounts.account(
          try body.text("account") ?? CoordinatorProgram.admin.rawValue)
        let subject = try await enrolment.decide(
          try body.needed("code"), by: record.account, approve: try body.flag("approve") ?? true)
        await hub.membershipChanged()
        return AccountJSON.subject(subject)
      }
    }
    router.post("/disputes/list") { _ in
      try await AccountAnswer.make {
        let disputes = account.store.read { Array($0.disputes.values) }
        return .members([
          "disputes": .array(
            disputes.sorted { ($0.sequence, $0.line.part) < ($1.sequence, $1.line.part) }
              .map(Self.dispute))
        ])
      }
    }
    router.post("/refund") { request in
      try await AccountAnswer.make {
        let body = try await JSONBody(request)
        guard let sequence = try body.integer("entry", in: 1...Int64.max),
          let part = try body.integer("part", in: 0...15)
        else { throw AccountError(.invalid, "entry and part name the dispute") }
        try await account.store.apply(
          .resolveDispute(
            sequence: sequence, part: Int(part), refund: try body.flag("refund") ?? true))
        return .members(["entry": .integer(sequence), "part": .integer(part)])
      }
    }
  }

  private static func dispute(_ dispute: Dispute) -> JSONValue {
    .members([
      "entry": .integer(dispute.sequence), "part": .integer(dispute.line.part),
      "payer": .string(dispute.payer.rawValue), "owner": .string(dispute.line.owner.rawValue),
      "paid_micros": .integer(dispute.line.gross.rawValue),
      "opened": .integer(dispute.openedAt.seconds),
    ])
  }
}
