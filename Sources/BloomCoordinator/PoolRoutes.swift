internal import BloomBase
internal import BloomHTTP
internal import BloomNet
internal import BloomStore
internal import BloomWire

/// What members ask about pools, their directory included.
struct PoolRoutes: Sendable {
  let account: AccountRoutes

  func add(to router: inout Router) {
    addPools(to: &router)
    addMembers(to: &router)
    addDirectory(to: &router)
  }

  private func shown(_ pool: PoolRecord) async -> JSONValue {
    AccountJSON.pool(
      pool, account.pools.machines(of: pool), connected: await account.hub.connectedNodes)
  }

  private static func name(_ request: Request) -> String { request.parameters["pool"] ?? "" }

  private func addPools(to router: inout Router) {
    let pools = account.pools
    router.get("/v1/pools") { request in
      try await AccountAnswer.make {
        let caller = try account.caller(request)
        var list: [JSONValue] = []
        for pool in pools.pools(of: caller.account) { list.append(await shown(pool)) }
        return .members(["pools": .array(list)])
      }
    }
    router.post("/v1/pools") { request in
      try await AccountAnswer.make {
        let caller = try account.manager(request)
        let body = try await JSONBody(request)
        let pool = try await pools.create(try body.needed("name"), owner: caller.account)
        await account.hub.membershipChanged()
        return await shown(pool)
      }
    }
    router.get("/v1/pools/:pool") { request in
      try await AccountAnswer.make {
        let caller = try account.caller(request)
        return await shown(try pools.pool(Self.name(request), member: caller.account))
      }
    }
    router.post("/v1/pools/:pool/policy") { request in
      try await AccountAnswer.make {
        let caller = try account.manager(request)
        let body = try await JSONBody(request)
        let pool = try await pools.change(Self.name(request), by: caller.account) { pool in
          try Self.change(&pool, body)
        }
        await account.hub.membershipChanged()
        return await shown(pool)
      }
    }
    router.get("/v1/pools/:pool/audit") { request in
      do {
        let caller = try account.manager(request)
        let events = try await pools.audit(Self.name(request), by: caller.account)
        if request.query("format") == "csv" {
          return .bytes(Array(AccountJSON.csv(events).utf8), type: "text/csv; charset=utf-8")
        }
        return .json(
          JSONValue.members(["events": .array(events.map { AccountJSON.event($0) })]).encoded)
      } catch {
        return try AccountAnswer.failure(error)
      }
    }
  }

  private static func change(_ pool: inout PoolRecord, _ body: JSONBody) throws {
    if let tier = try body.tier() { pool.policy.minimumTier = tier }
    if let region = try body.text("region") {
      pool.policy.region = region.isEmpty ? nil : try body.region()
    }
    if let models = try body.models() { pool.policy.models = models }
    if let invite = try body.flag("members_invite") { pool.policy.membersInvite = invite }
    if let most = try body.integer("maximum_members", in: 1...10_000) {
      pool.policy.maximumMembers = Int(most)
    }
    if let machines = try body.texts("machines") {
      pool.nodes = try machines.map { text in
        guard let node = Hex.decode(text).flatMap({ NodeID($0) }) else {
          throw AccountError(.invalid, "a machine is named by its 64 hexadecimal digits")
        }
        return node
      }
    }
  }

  private func addMembers(to router: inout Router) {
    let pools = account.pools
    router.post("/v1/pools/join") { request in
      try await AccountAnswer.make {
        let caller = try account.manager(request)
        let body = try await JSONBody(request)
        let pool = try await pools.join(try body.needed("invite"), caller.account)
        await account.hub.membershipChanged()
        return await shown(pool)
      }
    }
    router.post("/v1/pools/:pool/invite") { request in
      try await AccountAnswer.make {
        let caller = try account.manager(request)
        let body = try await JSONBody(request)
        let code = try await pools.invite(
          to: Self.name(request), by: caller.account,
          uses: Int(try body.integer("uses", in: 1...10_000) ?? 1),
          seconds: try body.integer("expires_in", in: 60...31_536_000) ?? 604_800)
        return .members(["invite": .string(code)])
      }
    }
    router.post("/v1/pools/:pool/leave") { request in
      try await AccountAnswer.make {
        let caller = try account.manager(request)
        let body = try await JSONBody(request)
        let name = Self.name(request)
        if try body.flag("delete") ?? false {
          try await pools.delete(name, by: caller.account)
        } else {
          _ = try await pools.remove(
            try Self.leaver(body) ?? caller.account, from: name, by: caller.account)
        }
        await account.hub.membershipChanged()
        return .members(["pool": .string(name)])
      }
    }
  }

  /// The member that a body names; `nil` when it names none.
  private static func leaver(_ body: JSONBody) throws(AccountError) -> AccountID? {
    guard let text = try body.text("member") else { return nil }
    // A mistyped name must not stand for the caller, who would leave.
    guard let member = AccountID(text) else {
      throw AccountError(.notFound, "that account is not in the pool")
    }
    return member
  }

  // MARK: The directory

  /// A member's key, one bound to another pool excepted.
  private func member(_ request: Request) throws -> String {
    let caller = try account.caller(request)
    let pool = try account.pools.pool(Self.name(request), member: caller.account)
    guard caller.key.limits.pool.map({ $0 == pool.name }) ?? true else {
      throw AccountError(.forbidden, "the API key is bound to another pool")
    }
    return pool.name
  }

  private func addDirectory(to router: inout Router) {
    router.get("/v1/pools/:pool/directory") { request in
      do {
        let pool = try member(request)
        let earlier = request.query("from").flatMap { Int($0) } ?? 0
        guard let bytes = try await account.hub.poolDirectoryAnswer(pool, earlier: earlier)
        else { return .text("no directory for that size\n", status: .notFound) }
        return account.answers.response(bytes, to: request)
      } catch {
        return try AccountAnswer.failure(error)
      }
    }
    router.get("/v1/pools/:pool/directory/:number/:tree") { request in
      do {
        let pool = try member(request)
        let indexes = (request.query("indexes") ?? "").split(separator: ",").compactMap { Int($0) }
        guard let number = request.parameters["number"].flatMap({ UInt64($0) }),
          let tree = request.parameters["tree"].flatMap({ Int($0) }),
          let bytes = await account.hub.poolDirectoryAnswer(
            pool, snapshot: number, tree: tree, indexes: indexes)
        else { return .text("no such records; fetch the directory again\n", status: .notFound) }
        return account.answers.response(bytes, to: request)
      } catch {
        return try AccountAnswer.failure(error)
      }
    }
  }
}
