internal import BloomBase
internal import BloomHTTP
internal import BloomNet
internal import BloomStore
internal import BloomWire

/// What users and machines ask about accounts: signing up, keys, devices, machines.
struct AccountRoutes: Sendable {
  let hub: Hub
  let store: LedgerStore
  let accounts: Accounts
  let pools: Pools
  let enrolment: Enrolment
  let policy: AccountPolicy
  /// Whose a machine is; `nil` for one that a link would refuse.
  let membership: @Sendable (NodeID) -> NodeMembership?
  let time: any TimeSource
  /// Bounds what directories of pools hold in memory.
  let answers: AnswerBudget

  func add(to router: inout Router) {
    addAccounts(to: &router)
    addDevices(to: &router)
    addNodes(to: &router)
    PoolRoutes(account: self).add(to: &router)
  }

  /// Who asks.
  ///
  /// - Throws: ``RelayRefusal`` for a key that is not in force.
  func caller(_ request: Request) throws -> Caller {
    try accounts.caller(
      authorization: request.headers[.authorization], now: time.unixTime()
    ).get()
  }

  /// Who asks with a key that manages its account.
  func manager(_ request: Request) throws -> Caller {
    let caller = try caller(request)
    try caller.requireManagement()
    return caller
  }

  // MARK: Accounts and keys

  private func addAccounts(to router: inout Router) {
    router.post("/v1/signup") { request in
      try await AccountAnswer.make {
        let body = try await JSONBody(request)
        let made = try await accounts.signUp(
          name: try body.text("name") ?? "user", invite: try body.text("invite"),
          policy: policy.signUp, credit: policy.openCredit, now: time.unixTime())
        return .members([
          "account": .string(made.account.rawValue), "api_key": .string(made.key),
        ])
      }
    }
    router.get("/v1/account") { request in
      try await AccountAnswer.make {
        let caller = try caller(request)
        let record = try accounts.account(caller.account.rawValue)
        return .members([
          "account": AccountJSON.account(record, store.balance(of: caller.account)),
          "key": AccountJSON.key(
            caller.key, accounts.spend(of: caller.key, now: time.unixTime())),
        ])
      }
    }
    router.get("/v1/keys") { request in
      try await AccountAnswer.make {
        let caller = try manager(request)
        let now = time.unixTime()
        return .members([
          "keys": .array(
            accounts.keys(of: caller.account).map {
              AccountJSON.key($0, accounts.spend(of: $0, now: now))
            })
        ])
      }
    }
    router.post("/v1/keys") { request in
      try await AccountAnswer.make {
        let caller = try manager(request)
        return try await makeKey(try await JSONBody(request), of: caller.account)
      }
    }
    router.post("/v1/keys/:id/revoke") { request in
      try await AccountAnswer.make {
        let caller = try manager(request)
        let key = try await accounts.revoke(
          request.parameters["id"] ?? "", of: caller.account, now: time.unixTime())
        return AccountJSON.key(key, nil)
      }
    }
  }

  /// Makes a key with limits; also for the operator.
  func makeKey(_ body: JSONBody, of account: AccountID) async throws -> JSONValue {
    let limits = try body.limits()
    if let pool = limits.pool { _ = try pools.pool(pool, member: account) }
    let made = try await accounts.addKey(
      for: account, name: try body.text("name") ?? "key", limits: limits,
      managesAccount: try body.flag("manages_account") ?? false, now: time.unixTime())
    if let name = limits.pool, let pool = pools.pool(name) {
      try await store.write([
        pools.event(.keyMade, pool, account, subject: made.record.label)
      ])
    }
    return .members([
      "api_key": .string(made.text), "key": AccountJSON.key(made.record, nil),
    ])
  }

  // MARK: Devices

  private func addDevices(to router: inout Router) {
    router.post("/v1/enrol/challenge") { _ in
      try await AccountAnswer.make {
        .members(["challenge": .string(Hex.encode(enrolment.challenge()))])
      }
    }
    router.post("/v1/device/code") { request in
      try await AccountAnswer.make {
        return try await begin(try await JSONBody(request))
      }
    }
    router.post("/v1/device/token") { request in
      do {
        let body = try await JSONBody(request)
        return Self.token(try await enrolment.poll(try body.needed("device_code")))
      } catch {
        return try AccountAnswer.failure(error)
      }
    }
    router.post("/v1/device/lookup") { request in
      try await AccountAnswer.make {
        let caller = try manager(request)
        let body = try await JSONBody(request)
        return AccountJSON.subject(
          try enrolment.lookUp(try body.needed("user_code"), by: caller.account))
      }
    }
    router.post("/v1/device/approve") { request in
      try await AccountAnswer.make {
        let caller = try manager(request)
        let body = try await JSONBody(request)
        let subject = try await enrolment.decide(
          try body.needed("user_code"), by: caller.account,
          approve: try body.flag("approve") ?? true)
        await hub.membershipChanged()
        return AccountJSON.subject(subject)
      }
    }
  }

  private func begin(_ body: JSONBody) async throws -> JSONValue {
    let name = try body.text("name") ?? "device"
    let kind: DeviceSubject.Kind
    switch try body.needed("kind") {
    case "key":
      let pool = try body.text("pool", upTo: 32)
      guard pool.map({ PoolName.isValid($0) }) ?? true else {
        throw AccountError(.invalid, "pool must be a pool's name")
      }
      kind = .key(pool: pool)
    case "node":
      let node = try proven(.enrol, body)
      let region = try body.region() ?? ""
      let isPrivate = try body.flag("private") ?? false
      if let invite = try body.text("invite") {
        let owner = try await enrolment.redeem(
          invite, node: node, name: name, region: region, isPrivate: isPrivate)
        await hub.membershipChanged()
        return .members([
          "account": .string(owner.rawValue), "node": .string(node.digest.hex),
        ])
      }
      kind = .node(node, region: region, isPrivate: isPrivate)
    default: throw AccountError(.invalid, "kind must be key or node")
    }
    let grant = try await enrolment.begin(DeviceSubject(kind: kind, name: name))
    return .members([
      "device_code": .string(grant.deviceCode), "user_code": .string(grant.userCode),
      "expires_in": .integer(grant.expiresIn), "interval": .integer(grant.interval),
    ])
  }

  /// RFC 8628 §3.5: what is not there yet is an error with status 400.
  private static func token(_ answer: Enrolment.Answer) -> Response {
    func pending(_ error: String) -> Response {
      .json(JSONValue.members(["error": .string(error)]).encoded, status: .badRequest)
    }
    switch answer {
    case .pending: return pending("authorization_pending")
    case .slowDown: return pending("slow_down")
    case .denied: return pending("access_denied")
    case .expired: return pending("expired_token")
    case .key(let key, let account, let pool):
      return .json(
        JSONValue.members([
          "api_key": .string(key), "account": .string(account.rawValue),
          "pool": pool.map { .string($0) } ?? .null,
        ]).encoded)
    case .node(let node, let account):
      return .json(
        JSONValue.members([
          "node": .string(node.digest.hex), "account": .string(account.rawValue),
        ]).encoded)
    }
  }

  private func proven(_ purpose: EnrolmentProof.Purpose, _ body: JSONBody) throws -> NodeID {
    try enrolment.prove(
      purpose, identity: try body.bytes("identity"), challenge: try body.bytes("challenge"),
      signature: try body.bytes("signature"))
  }

  // MARK: Machines

  private func addNodes(to router: inout Router) {
    router.get("/v1/nodes") { request in
      try await AccountAnswer.make {
        let caller = try caller(request)
        let connected = await hub.connectedNodes
        return .members([
          "nodes": .array(
            enrolment.nodes(of: caller.account).map {
              AccountJSON.node($0, isConnected: connected.contains($0.node))
            })
        ])
      }
    }
    router.post("/v1/enrol/check") { request in
      try await AccountAnswer.make {
        let node = try proven(.check, try await JSONBody(request))
        guard let membership = membership(node) else {
          throw AccountError(
            .notFound, "the machine is in no account of this network, or its account is blocked")
        }
        return .members([
          "node": .string(node.digest.hex), "account": .string(membership.owner.rawValue),
          "private": .bool(membership.isPrivate),
        ])
      }
    }
    router.post("/v1/enrol/leave") { request in
      try await AccountAnswer.make {
        let node = try proven(.leave, try await JSONBody(request))
        try await enrolment.leave(node, owner: nil)
        await hub.membershipChanged()
        return .members(["node": .string(node.digest.hex)])
      }
    }
    router.post("/v1/nodes/:node/remove") { request in
      try await AccountAnswer.make {
        let caller = try manager(request)
        let bytes = request.parameters["node"].flatMap { Hex.decode($0) }
        guard let node = bytes.flatMap({ NodeID($0) }) else {
          throw AccountError(.notFound, "the machine is in no account of yours")
        }
        try await enrolment.leave(node, owner: caller.account)
        await hub.membershipChanged()
        return .members(["node": .string(node.digest.hex)])
      }
    }
  }
}
