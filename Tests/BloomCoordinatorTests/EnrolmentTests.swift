import BloomBase
import BloomCoordinator
import BloomCrypto
import BloomHTTP
import BloomLedger
import BloomNet
import BloomRecords
import BloomStore
import BloomWire
import Testing

/// Accounts and enrolment over a store in memory, with a clock that is moved by hand.
private struct Office {
  let time = ManualTime()
  let store: LedgerStore
  let accounts: Accounts
  let enrolment: Enrolment
  let logKey: [UInt8]
  let alice: AccountID
  let bob: AccountID

  init(_ backend: MemoryBackend = MemoryBackend(), limits: Enrolment.Limits = .init()) async throws
  {
    store = try await LedgerStore.open(backend, clock: time)
    accounts = Accounts(store: store)
    logKey = [UInt8](repeating: 5, count: 32)
    enrolment = Enrolment(
      store: store, pools: Pools(store: store, time: time), logKey: logKey, time: time,
      limits: limits)
    alice = try #require(AccountID("alice"))
    bob = try #require(AccountID("bob"))
    for account in [alice, bob] {
      try await accounts.ensure(
        account, name: "\(account)", credit: .zero, now: time.unixTime())
    }
  }

  func prove(
    _ key: SigningKey, _ purpose: EnrolmentProof.Purpose = .enrol, challenge: [UInt8]? = nil,
    for network: [UInt8]? = nil, showing shown: SigningKey? = nil
  ) throws -> NodeID {
    let challenge = challenge ?? enrolment.challenge()
    let message = EnrolmentProof.message(
      purpose, challenge: challenge, logKey: network ?? logKey)
    return try enrolment.prove(
      .enrol, identity: (shown ?? key).verifyingKey.subjectPublicKeyInfo, challenge: challenge,
      signature: try key.sign(message))
  }

  /// Gives alice as many keys as she may have, but for one.
  func almostFill() async throws {
    let now = time.unixTime()
    let keys = (1..<Accounts.keysMax).map {
      Accounts.makeKey(for: alice, name: "k\($0)", now: now).record
    }
    try await store.write(keys.map { RecordChange.put($0) })
  }

  func node(_ id: NodeID) -> DeviceSubject {
    DeviceSubject(kind: .node(id, region: "", isPrivate: false), name: "attic")
  }
}

@Suite struct EnrolmentTests {
  private static let program = DeviceSubject(kind: .key(pool: nil), name: "laptop")

  @Test func `an approved code gives one key, once`() async throws {
    let office = try await Office()
    let grant = try await office.enrolment.begin(Self.program)
    #expect(try await office.enrolment.poll(grant.deviceCode) == .pending)
    let typed = grant.userCode.lowercased().filter { $0 != "-" }
    #expect(try office.enrolment.lookUp(typed, by: office.alice) == Self.program)
    _ = try await office.enrolment.decide(typed, by: office.alice, approve: true)
    office.time.advance(5)
    guard case .key(let key, let account, nil) = try await office.enrolment.poll(grant.deviceCode)
    else { return #expect(Bool(false), "no key") }
    #expect(account == office.alice)
    let now = office.time.unixTime()
    #expect(office.accounts.account(authorization: "Bearer \(key)", now: now) == office.alice)
    office.time.advance(5)
    #expect(try await office.enrolment.poll(grant.deviceCode) == .expired)
    await #expect(throws: AccountError.self) {
      try await office.enrolment.decide(typed, by: office.bob, approve: true)
    }
  }

  @Test func `a refused code gives nothing`() async throws {
    let office = try await Office()
    let grant = try await office.enrolment.begin(Self.program)
    _ = try await office.enrolment.decide(grant.userCode, by: office.alice, approve: false)
    await #expect(throws: AccountError.self) {
      try await office.enrolment.decide(grant.userCode, by: office.alice, approve: true)
    }
    #expect(try await office.enrolment.poll(grant.deviceCode) == .denied)
    #expect(office.accounts.keys(of: office.alice).isEmpty)
  }

  @Test func `a code is void after its time, approved or not`() async throws {
    let office = try await Office()
    let late = try await office.enrolment.begin(Self.program)
    let approved = try await office.enrolment.begin(Self.program)
    _ = try await office.enrolment.decide(approved.userCode, by: office.alice, approve: true)
    office.time.advance(600)
    #expect(try await office.enrolment.poll(late.deviceCode) == .expired)
    #expect(try await office.enrolment.poll(approved.deviceCode) == .expired)
    await #expect(throws: AccountError.self) {
      try await office.enrolment.decide(late.userCode, by: office.alice, approve: true)
    }
    #expect(office.accounts.keys(of: office.alice).isEmpty)
  }

  @Test func `guessed codes are refused, and after five nothing more is looked at`()
    async throws
  {
    let office = try await Office()
    let grant = try await office.enrolment.begin(Self.program)
    for wrong in ["", "BBBB-BBB", "AAAA-AAAA", "BCDF-GHJK", grant.userCode + "B"] {
      #expect(throws: AccountError.self) {
        try office.enrolment.lookUp(wrong, by: office.alice)
      }
    }
    let refusal = #expect(throws: AccountError.self) {
      try office.enrolment.lookUp(grant.userCode, by: office.alice)
    }
    #expect(refusal?.code == .slowDown)
    // Another account is not hindered, and the time heals.
    #expect(try office.enrolment.lookUp(grant.userCode, by: office.bob) == Self.program)
    office.time.advance(599)
    let fresh = try await office.enrolment.begin(Self.program)
    office.time.advance(1)
    #expect(try office.enrolment.lookUp(fresh.userCode, by: office.alice) == Self.program)
  }

  @Test func `a device that asks too often is slowed down`() async throws {
    let office = try await Office()
    let grant = try await office.enrolment.begin(Self.program)
    #expect(try await office.enrolment.poll(grant.deviceCode) == .pending)
    #expect(try await office.enrolment.poll(grant.deviceCode) == .slowDown)
    office.time.advance(5)
    #expect(try await office.enrolment.poll(grant.deviceCode) == .pending)
  }

  @Test func `only so many codes wait at once`() async throws {
    var limits = Enrolment.Limits()
    limits.pending = 2
    let office = try await Office(limits: limits)
    for _ in 0..<2 { _ = try await office.enrolment.begin(Self.program) }
    let refusal = await #expect(throws: AccountError.self) {
      try await office.enrolment.begin(Self.program)
    }
    #expect(refusal?.code == .full)
    office.time.advance(600)
    _ = try await office.enrolment.begin(Self.program)
  }

  @Test func `a restart keeps codes, approvals, machines and keys`() async throws {
    let backend = MemoryBackend()
    let first = try await Office(backend)
    let waiting = try await first.enrolment.begin(Self.program)
    let approved = try await first.enrolment.begin(Self.program)
    _ = try await first.enrolment.decide(approved.userCode, by: first.alice, approve: true)
    await first.store.close()
    let second = try await Office(backend)
    #expect(try await second.enrolment.poll(waiting.deviceCode) == .pending)
    _ = try await second.enrolment.decide(waiting.userCode, by: second.bob, approve: true)
    guard case .key(_, second.alice, _) = try await second.enrolment.poll(approved.deviceCode)
    else { return #expect(Bool(false), "the approval is gone") }
    #expect(second.accounts.keys(of: second.alice).count == 1)
  }

  // MARK: Proofs

  @Test func `a challenge is good once, and for two minutes`() async throws {
    let office = try await Office()
    let key = try SigningKey.generate(.p256)
    let challenge = office.enrolment.challenge()
    #expect(
      try office.prove(key, challenge: challenge) == KeyStatement.nodeID(of: key.verifyingKey))
    #expect(throws: AccountError.self) { try office.prove(key, challenge: challenge) }
    let old = office.enrolment.challenge()
    office.time.advance(121)
    #expect(throws: AccountError.self) { try office.prove(key, challenge: old) }
    #expect(throws: AccountError.self) {
      try office.prove(key, challenge: [UInt8](repeating: 1, count: 32))
    }
    #expect(throws: AccountError.self) { try office.prove(key, challenge: []) }
  }

  @Test func `a proof for another network, purpose or key is refused`() async throws {
    let office = try await Office()
    let key = try SigningKey.generate(.p256)
    #expect(throws: AccountError.self) {
      try office.prove(key, for: [UInt8](repeating: 6, count: 32))
    }
    #expect(throws: AccountError.self) { try office.prove(key, .leave) }
    let other = try SigningKey.generate(.p256)
    #expect(throws: AccountError.self) { try office.prove(key, showing: other) }
    #expect(throws: AccountError.self) { try office.prove(try SigningKey.generate(.ed25519)) }
  }

  @Test func `a machine of another account is not taken over`() async throws {
    let office = try await Office()
    let node = try office.prove(try SigningKey.generate(.p256))
    let first = try await office.enrolment.begin(office.node(node))
    _ = try await office.enrolment.decide(first.userCode, by: office.alice, approve: true)
    #expect(try await office.enrolment.poll(first.deviceCode) == .node(node, office.alice))
    let second = try await office.enrolment.begin(office.node(node))
    let refusal = await #expect(throws: AccountError.self) {
      try await office.enrolment.decide(second.userCode, by: office.bob, approve: true)
    }
    #expect(refusal?.code == .taken)
    #expect(office.enrolment.nodes(of: office.alice).map(\.node) == [node])
    await #expect(throws: AccountError.self) {
      try await office.enrolment.leave(node, owner: office.bob)
    }
    try await office.enrolment.leave(node, owner: office.alice)
    _ = try await office.enrolment.decide(second.userCode, by: office.bob, approve: true)
    #expect(office.enrolment.nodes(of: office.bob).map(\.node) == [node])
  }

  @Test func `a machine's invite joins one machine to whoever invited`() async throws {
    let office = try await Office()
    let invite = try await office.accounts.invite(.node, by: office.alice, expires: nil)
    let node = try office.prove(try SigningKey.generate(.p256))
    let owner = try await office.enrolment.redeem(
      invite.code, node: node, name: "attic", region: "eu", isPrivate: false)
    #expect(owner == office.alice)
    let other = try office.prove(try SigningKey.generate(.p256))
    await #expect(throws: AccountError.self) {
      try await office.enrolment.redeem(
        invite.code, node: other, name: "attic", region: "", isPrivate: false)
    }
    #expect(office.enrolment.nodes(of: nil).count == 1)
  }

  // MARK: Signing up

  @Test func `an account needs an invite unless the operator says otherwise`() async throws {
    let office = try await Office()
    let now = office.time.unixTime()
    let invite = try await office.accounts.invite(
      .user, by: office.alice, credit: Micros(7), expires: now + 60)
    func signUp(_ policy: Accounts.SignUp, _ code: String?) async throws -> AccountID {
      try await office.accounts.signUp(
        name: "new", invite: code, policy: policy, credit: Micros(3),
        now: office.time.unixTime()
      ).account
    }
    for (policy, code) in [
      (.closed, nil), (.closed, invite.code), (.invite, nil), (.invite, "AAAA"),
      (.open, "AAAAAAAAAAAAAAAAAAAAAA"),
    ] as [(Accounts.SignUp, String?)] {
      await #expect(throws: AccountError.self) { try await signUp(policy, code) }
    }
    let invited = try await signUp(.invite, invite.code)
    #expect(office.store.balance(of: invited).credit == Micros(7))
    await #expect(throws: AccountError.self) { try await signUp(.invite, invite.code) }
    let open = try await signUp(.open, nil)
    #expect(office.store.balance(of: open).credit == Micros(3))
    let late = try await office.accounts.invite(.user, by: office.alice, expires: now + 60)
    office.time.advance(60)
    await #expect(throws: AccountError.self) { try await signUp(.invite, late.code) }
    let machine = try await office.accounts.invite(.node, by: office.alice, expires: nil)
    await #expect(throws: AccountError.self) { try await signUp(.invite, machine.code) }
  }

  // MARK: Limits

  @Test func `keys made at once do not get past the limit`() async throws {
    let office = try await Office()
    try await office.almostFill()
    let (accounts, alice, now) = (office.accounts, office.alice, office.time.unixTime())
    let made = await withTaskGroup(of: Bool.self, returning: Int.self) { group in
      for number in 0..<64 {
        group.addTask {
          do {
            _ = try await accounts.addKey(for: alice, name: "n\(number)", now: now)
            return true
          } catch {
            return false
          }
        }
      }
      var count = 0
      for await isMade in group where isMade { count += 1 }
      return count
    }
    #expect(made == 1)
    #expect(accounts.keys(of: alice).count == Accounts.keysMax)
  }

  @Test func `codes approved for the same last key give one, and another after a revocation`()
    async throws
  {
    let office = try await Office()
    try await office.almostFill()
    let first = try await office.enrolment.begin(Self.program)
    let second = try await office.enrolment.begin(Self.program)
    for grant in [first, second] {
      _ = try await office.enrolment.decide(grant.userCode, by: office.alice, approve: true)
    }
    guard case .key = try await office.enrolment.poll(first.deviceCode) else {
      return #expect(Bool(false), "no key")
    }
    let refusal = await #expect(throws: AccountError.self) {
      try await office.enrolment.poll(second.deviceCode)
    }
    #expect(refusal?.code == .full)
    let old = try #require(office.accounts.keys(of: office.alice).first)
    try await office.accounts.revoke(old.label, of: office.alice, now: office.time.unixTime())
    office.time.advance(5)
    guard case .key = try await office.enrolment.poll(second.deviceCode) else {
      return #expect(Bool(false), "no key")
    }
  }

  @Test func `a limited key cannot make a stronger one`() async throws {
    try await withCoordinator([]) { test, _ in
      let alice = try await test.manager("alice")
      let made = try await test.call(
        "/v1/keys", key: alice.key,
        ["name": .string("ci"), "requests_per_minute": .integer(3)])
      let key = try #require(made.value["api_key"]?.string)
      #expect(made.value["key"]?["limits"]?["requests_per_minute"]?.integer == 3)
      #expect(try await test.call("/v1/keys", key: key, ["name": .string("x")]).status == 403)
      #expect(try await test.call("/v1/account", key: key).status == 200)
      let code = try await test.call(
        "/v1/device/code", key: nil, ["kind": .string("key"), "name": .string("laptop")])
      let typed = try #require(code.value["user_code"])
      #expect(
        try await test.call("/v1/device/approve", key: key, ["user_code": typed]).status == 403)
      #expect(
        try await test.call("/v1/device/approve", key: alice.key, ["user_code": typed]).status
          == 200)
      let device = try #require(code.value["device_code"])
      let token = try await test.call(
        "/v1/device/token", key: nil, ["device_code": device])
      #expect(token.value["account"]?.string == "alice")
      let unknown = try await test.call(
        "/v1/device/token", key: nil, ["device_code": .string("AAAA")])
      #expect(unknown.status == 400)
      #expect(unknown.value["error"]?.string == "expired_token")
    }
  }

  @Test(arguments: [
    "[]", "{", "{\"kind\":\"other\"}", "{\"kind\":\"node\"}", "{\"kind\":7}",
    "{\"kind\":\"key\",\"name\":\"\"}", "{\"kind\":\"key\",\"pool\":\"../x\"}",
  ])
  func `what is not a device's request is refused by name`(body: String) async throws {
    try await withCoordinator([]) { test, _ in
      let response = try await test.http.send(
        try ClientRequest.post("http://coordinator/v1/device/code", Array(body.utf8)))
      let bytes = try await response.body.collect(upTo: 1 << 16)
      #expect(response.status == .badRequest)
      #expect(
        try JSONValue(decoding: bytes)["error"]?["reason"]?.string == "invalid_request")
    }
  }

  @Test func `a network of one's own takes machines that show its key only`() async throws {
    try await withCoordinator([], nodesNeedKey: true) { test, _ in
      let url = try HTTPURL("http://coordinator/v1/node")
      await #expect(throws: NetError.self) { try await test.http.webSocket(url) }
      var headers = HTTPFields()
      headers.add(.authorization, try HTTPFieldValue("Bearer \(try await test.manager("eve").key)"))
      await #expect(throws: NetError.self) {
        try await test.http.webSocket(url, headers: headers)
      }
      let key = try await Accounts(store: test.store).addKey(
        for: test.owner, name: "node", now: SystemTime().unixTime())
      var good = HTTPFields()
      good.add(.authorization, try HTTPFieldValue("Bearer \(key.text)"))
      let socket = try await test.http.webSocket(url, headers: good)
      await socket.close()
    }
  }
}
