import BloomBase
import BloomClient
import BloomCrypto
import BloomHTTP
import BloomLedger
import BloomNet
import BloomPlatform
import BloomStore
import BloomWire
import Testing

@testable import BloomCoordinator

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// What operator, users and owners see of money, through the real routes.
@Suite(.serialized) struct MoneyTests {
  private static let model = Machine.model.digest.hex

  /// Asks the operator's socket.
  private static func admin(
    _ socket: String, _ path: String, _ members: KeyValuePairs<String, JSONValue> = [:]
  ) async throws -> (status: Int, value: JSONValue, text: String) {
    let client = HTTPClient()
    defer { client.close() }
    var request = try ClientRequest.post(
      "http://coordinator\(path)", JSONValue.members(members).encoded)
    request.unixSocket = socket
    let response = try await client.send(request, timeout: .seconds(10))
    let bytes = try await response.body.collect(upTo: 1 << 20)
    return (
      response.status.code, (try? JSONValue(decoding: bytes)) ?? .null,
      String(decoding: bytes, as: UTF8.self)
    )
  }

  private static func socket() -> String {
    "/tmp/money-\(getpid())-\(UInt32.random(in: 0...UInt32.max)).sock"
  }

  /// Text of a route that needs a key.
  private static func text(
    _ path: String, _ key: String, _ test: TestCoordinator
  ) async throws -> String {
    var request = try ClientRequest.get("http://coordinator\(path)")
    request.headers.add(.authorization, try HTTPFieldValue("Bearer " + key))
    let response = try await test.http.send(request)
    #expect(response.status == .ok)
    return String(decoding: try await response.body.collect(upTo: 1 << 20), as: UTF8.self)
  }

  /// A column of CSV as numbers; empty fields are left out.
  private static func sum(_ column: String, _ csv: String) throws -> Int64 {
    let rows = csv.split(separator: "\r\n").map {
      $0.split(separator: ",", omittingEmptySubsequences: false)
    }
    let index = try #require(rows.first?.firstIndex { $0 == column })
    return rows.dropFirst().reduce(0) { $0 + (Int64($1[index]) ?? 0) }
  }

  // MARK: What is shown

  @Test func `what users and owners are shown is what was booked`() async throws {
    try await withCoordinator([.answer(tokens: 20), .answer(tokens: 200)], credit: 0) {
      test, nodes in
      let user = try await test.manager("alice")
      let owner = try await test.manager("owner")
      let before = test.store.balance(of: user.account)
      let ownerBefore = test.store.balance(of: test.owner)
      for node in [0, 1, 1] {
        // A machine that stood still for seconds, all of it, lost its answer: it is asked again.
        var isFinished = false
        for _ in 0..<5 where !isFinished {
          let sealed = try test.seal(newAnswer(), to: [nodes[node].machine])
          isFinished = try await test.ask(sealed, using: test.client(key: user.key)).isFinished
        }
        #expect(isFinished)
      }
      // Own answers and posted entries, recomputed from the entries themselves.
      let entries = try await test.store.statement(
        of: user.account, in: UnixTime(0)..<UnixTime(1 << 40))
      let paid = before.total - test.store.balance(of: user.account).total
      let earned = test.store.balance(of: test.owner).total - ownerBefore.total
      let fees =
        test.store.balance(of: SystemAccount.fees.id).credit
        + test.store.balance(of: SystemAccount.replay.id).credit
      #expect(paid > .zero && paid == earned + fees)
      #expect(fees.rawValue > 0 && fees.rawValue <= paid.rawValue / 20)
      #expect(entries.change == test.store.balance(of: user.account).total)

      for (key, change, isOwner) in [(user.key, -paid, false), (owner.key, earned, true)] {
        let days = try await test.call("/v1/statement", key: key).value
        let answers = try await test.call("/v1/statement?detail=answers", key: key).value
        let balance = test.store.balance(of: isOwner ? test.owner : user.account)
        #expect(days["change_micros"]?.integer == balance.total.rawValue)
        #expect(answers["change_micros"]?.integer == balance.total.rawValue)
        let lines = try #require(answers["lines"]?.items)
        let settled = lines.filter { $0["kind"]?.string == "settle" }
        #expect(settled.count == 3)
        #expect(
          settled.reduce(0) { $0 + ($1["change_micros"]?.integer ?? 0) } == change.rawValue)
        // Owners see their machines, users do not.
        #expect(settled.allSatisfy { ($0["node"] != nil) == isOwner })
        for detail in ["days", "answers"] {
          let csv = try await Self.text("/v1/statement?format=csv&detail=\(detail)", key, test)
          #expect(try Self.sum("change_micros", csv) == balance.total.rawValue)
        }
        let usage = try await test.call("/v1/usage", key: key).value
        let total = usage["total"]
        #expect(total?["asked"]?["paid_micros"]?.integer == (isOwner ? 0 : paid.rawValue))
        #expect(total?["served"]?["earned_micros"]?.integer == (isOwner ? earned.rawValue : 0))
        #expect(total?["asked"]?["answers"]?.integer == (isOwner ? 0 : 3))
        #expect(usage["days"]?.items?.isEmpty == false)
        let account = try await test.call("/v1/account", key: key).value["account"]
        let buckets = ["credit", "earned", "reserved", "held", "payout"].map {
          account?["\($0)_micros"]?.integer ?? -1
        }
        #expect(buckets.reduce(0, +) == balance.total.rawValue)
      }
    }
  }

  @Test func `a statement names the models that the operator listed, and no others`()
    async throws
  {
    let lists: [([UInt8], [String])] = [(Machine.manifest, ["test:q8"]), ([1, 2, 3], [])]
    for (manifest, names) in lists {
      try await withCoordinator([.answer(tokens: 20)], manifests: [manifest]) { test, nodes in
        let key = try await test.manager("alice").key
        let sealed = try test.seal(newAnswer(), to: [nodes[0].machine])
        #expect(try await test.ask(sealed, using: test.client(key: key)).isFinished)
        for detail in ["days", "answers"] {
          let statement = try await test.call("/v1/statement?detail=\(detail)", key: key).value
          let lines = statement["lines"]?.items ?? []
          #expect(lines.compactMap { $0["model"]?.string } == [Self.model])
          #expect(lines.compactMap { $0["model_name"]?.string } == names)
          let csv = try await Self.text("/v1/statement?format=csv&detail=\(detail)", key, test)
          #expect(csv.contains("test:q8") == !names.isEmpty)
          #expect(csv.contains(Self.model))
        }
      }
    }
  }

  @Test func `a statement refuses days that are none and periods without an end`() async throws {
    try await withCoordinator([]) { test, _ in
      let key = try await test.manager("alice").key
      for query in [
        "from=yesterday", "from=2026-02-30", "to=2026-13-01", "from=2026-11-02&to=2026-11-01",
        "from=2020-01-01&to=2026-01-01", "format=xml", "detail=all",
      ] {
        let refused = try await test.call("/v1/statement?\(query)", key: key)
        #expect(refused.status == 400, "\(query)")
        #expect(refused.value["error"]?["message"]?.string?.isEmpty == false)
      }
      #expect(try await test.call("/v1/statement", key: nil).status == 401)
      let empty = try await test.call(
        "/v1/statement?from=2000-01-01&to=2000-12-31&detail=answers", key: key)
      #expect(empty.value["lines"]?.items == [])
    }
  }

  @Test(arguments: [
    ("1970-01-01", 0), ("2000-02-29", 11_016), ("2026-11-21", 20_778), ("9999-12-31", 2_932_896),
  ])
  func `days are those of the calendar`(text: String, number: Int) {
    #expect(CivilDay(text)?.number == Int32(number))
    #expect(CivilDay(Int32(number)).description == text)
  }

  @Test(arguments: ["2026-2-1", "2026-02-29", "1969-12-31", "2026-00-10", "+026-01-01", "", "--"])
  func `what is no day is refused`(text: String) { #expect(CivilDay(text) == nil) }

  // MARK: The operator

  @Test func `prices have a history, and a wrong one changes nothing`() async throws {
    let socket = Self.socket()
    try await withCoordinator([], configure: { $0.adminSocket = socket }) { test, _ in
      _ = try await test.service.server.boundAddresses()
      try await test.until("listening") {
        (try? await Self.admin(socket, "/books"))?.status == 200
      }
      let set = try await Self.admin(
        socket, "/prices/set",
        [
          "model": .string(Self.model), "kind": .string("chat"), "prompt_micros": .integer(7),
          "completion_micros": .integer(9),
        ])
      #expect(set.value["version"]?.integer == 2)
      let again = try await Self.admin(
        socket, "/prices/set",
        [
          "model": .string(Self.model), "kind": .string("chat"), "prompt_micros": .integer(7),
          "completion_micros": .integer(9),
        ])
      #expect(again.value["version"]?.integer == 2)
      let wrong: [KeyValuePairs<String, JSONValue>] = [
        ["fallback": .bool(true), "prompt_micros": .integer(-1), "completion_micros": .integer(1)],
        ["fallback": .bool(true), "prompt_micros": .integer(1)],
        [
          "model": .string("nobody"), "kind": .string("chat"), "prompt_micros": .integer(1),
          "completion_micros": .integer(1),
        ],
        [
          "model": .string(Self.model), "kind": .string("talk"), "prompt_micros": .integer(1),
          "completion_micros": .integer(1),
        ],
        [
          "fallback": .bool(true), "prompt_micros": .integer(LedgerLimits.pricePerMillion + 1),
          "completion_micros": .integer(1),
        ],
      ]
      for body in wrong {
        let refused = try await Self.admin(socket, "/prices/set", body)
        #expect((400...404).contains(refused.status), "\(refused.text)")
      }
      let list = try await Self.admin(socket, "/prices/list").value
      #expect(list["fallback"]?["prompt_micros_per_million_tokens"]?.integer == 1_000_000)
      #expect(
        list["prices"]?.items?.first?["price"]?["completion_micros_per_million_tokens"]?.integer
          == 9)
      let history = try await Self.admin(socket, "/prices/list", ["history": .bool(true)]).value
      #expect(history["history"]?.items?.compactMap { $0["for"]?.string } == ["fallback", "list"])
    }
  }

  @Test func `a policy is adopted only with the network's signature and the next version`()
    async throws
  {
    let socket = Self.socket()
    try await withCoordinator([], configure: { $0.adminSocket = socket }) { test, _ in
      try await test.until("listening") {
        (try? await Self.admin(socket, "/books"))?.status == 200
      }
      let shown = try await Self.admin(socket, "/policy/show", ["next": .bool(true)]).value
      let draft = try #require(shown["text"]?.string)
      var policy = try PolicyFile.read(draft)
      #expect(policy.version == 2 && policy.nodeSharePerMille == 950)
      func adopt(_ text: String) async throws -> (status: Int, value: JSONValue, text: String) {
        try await Self.admin(socket, "/policy/adopt", ["text": .string(text)])
      }
      policy.nodeSharePerMille = 900
      let signed = PolicyFile.text(try PolicyFile.sign(policy, with: test.logKey))
      let stranger = PolicyFile.text(
        try PolicyFile.sign(policy, with: try SigningKey.generate(.ed25519)))
      policy.version = 3
      let early = PolicyFile.text(try PolicyFile.sign(policy, with: test.logKey))
      let changed = signed.split(separator: "\n", omittingEmptySubsequences: false).map {
        $0 == "node-share-per-mille=900" ? "node-share-per-mille=100" : String($0)
      }.joined(separator: "\n")
      for text in [draft, stranger, early, changed, "", "version=2"] {
        let refused = try await adopt(text)
        #expect(refused.status == 400 || refused.status == 409, "\(refused.text)")
      }
      #expect(test.store.read { $0.policy.policy.version } == 1)
      #expect(try await adopt(signed).status == 200)
      #expect(try await adopt(signed).status == 200)
      // Everybody reads it, and whoever pinned the key can check it.
      let open = try await test.call("/v1/policy", key: nil).value
      let text = try #require(open["text"]?.string)
      #expect(open["node_share_per_mille"]?.integer == 900 && text == signed)
      #expect(
        try PolicyFile.read(text, signedBy: test.logKey.verifyingKey).policy.nodeSharePerMille
          == 900)
    }
  }

  @Test(arguments: [
    "version=0", "node-share-per-mille=1001", "node-share-per-mille=ninety",
    "replays-per-answer=17", "override-max-per-mille=999", "minimum-payout-micros=-1",
    "pool-share-per-mille=007",
  ])
  func `a policy with a wrong value is refused with words`(line: String) throws {
    let name = line.split(separator: "=")[0]
    let text = PolicyFile.text(LedgerPolicy()).split(separator: "\n").map {
      $0.hasPrefix("\(name)=") ? line : String($0)
    }.joined(separator: "\n")
    let error = #expect(throws: AccountError.self) { try PolicyFile.read(text) }
    #expect(error?.publicDescription.contains("policy") == true)
  }

  @Test func `a payout is proposed, exported and confirmed or cancelled, once`() async throws {
    let socket = Self.socket()
    try await withCoordinator([.answer(tokens: 20)], configure: { $0.adminSocket = socket }) {
      test, nodes in
      try await test.until("listening") {
        (try? await Self.admin(socket, "/books"))?.status == 200
      }
      #expect(try await test.ask(test.seal(newAnswer(), to: [nodes[0].machine])).isFinished)
      let earned = test.store.balance(of: test.owner).earned.rawValue
      // Far below the policy's smallest payout.
      let early = try await Self.admin(
        socket, "/payouts/propose", ["account": .string("owner")])
      #expect(early.status == 409)
      #expect(try await Self.admin(socket, "/payouts/propose").value["payouts"]?.items == [])
      var policy = LedgerPolicy()
      policy.version = 2
      policy.minimumPayout = Micros(1)
      try await test.store.apply(.adoptPolicy(PolicyFile.sign(policy, with: test.logKey)))
      let owner = try await test.manager("owner")
      for destination in ["", "=1+1", "@x", String(repeating: "x", count: 129)] {
        let refused = try await test.call(
          "/v1/payouts", key: owner.key,
          ["destination": .string(destination), "micros": .integer(1)])
        #expect(refused.status == 400)
      }
      let mine = try await test.call(
        "/v1/payouts", key: owner.key,
        ["destination": .string("ACC \"7\""), "micros": .integer(2), "key": .string("a")])
      let first = try #require(mine.value["payout"]?.integer)
      let proposed = try await Self.admin(socket, "/payouts/propose").value
      #expect(proposed["refused"]?.items == [])
      let all = proposed["payouts"]?.items ?? []
      #expect(all.count == 1)
      // Where the last one went.
      #expect(all.first?["destination"]?.string == "ACC \"7\"")
      #expect(all.first?["amount_micros"]?.integer == earned - 2)
      #expect(try await Self.admin(socket, "/payouts/propose").value["payouts"]?.items == [])
      let second = try #require(all.first?["payout"]?.integer)
      let csv = try await Self.admin(socket, "/payouts/export").text
      #expect(csv.split(separator: "\r\n").count == 3 && csv.contains("\"ACC \"\"7\"\"\""))
      let unsaid = try await Self.admin(
        socket, "/payouts/confirm", ["payout": .integer(second)])
      #expect(unsaid.status == 400)
      let confirmed = try await Self.admin(
        socket, "/payouts/confirm",
        ["payout": .integer(second), "reference": .string("bank 1")])
      #expect(confirmed.status == 200)
      let cancelled = try await Self.admin(
        socket, "/payouts/cancel", ["payout": .integer(first), "reason": .string("no such bank")])
      #expect(cancelled.status == 200)
      let unknown = try await Self.admin(
        socket, "/payouts/confirm", ["payout": .integer(999), "reference": .string("x")])
      #expect(unknown.status == 409)
      let balance = test.store.balance(of: test.owner)
      #expect(balance.earned == Micros(2) && balance.payout == .zero)
      let states = try await test.call("/v1/payouts", key: owner.key).value["payouts"]?.items?
        .compactMap { $0["state"]?.string }
      #expect(states == ["confirmed", "rejected"])
      let statement = try await test.call("/v1/statement?detail=answers", key: owner.key).value
      let kinds = statement["lines"]?.items?.compactMap { $0["kind"]?.string } ?? []
      #expect(
        kinds.suffix(4) == [
          "payout-requested", "payout-requested", "payout-confirmed", "payout-rejected",
        ])
      #expect(statement["change_micros"]?.integer == balance.total.rawValue)
      let books = try await Self.admin(socket, "/books").value
      #expect(books["sum_micros"]?.integer == 0)
      #expect(books["platform_micros"]?["cash"]?.integer == earned - 2)
    }
  }

  // MARK: Owners and users

  @Test func `an owner's own price is within the policy's bounds and is what is charged`()
    async throws
  {
    let owner = try #require(AccountID("landlord"))
    let machine = try Machine(seed: 1)
    let row = OwnedNodeRecord(
      node: machine.node, owner: owner, name: "attic", joinedAt: UnixTime(0), region: "",
      isPrivate: false)
    try await withCoordinator([.answer(tokens: 20)], records: [.put(row)]) { test, nodes in
      let landlord = try await test.manager("landlord")
      let path = "/v1/nodes/\(machine.node.digest.hex)/price"
      func set(_ prompt: Int64, _ completion: Int64, key: String) async throws -> Int {
        try await test.call(
          path, key: key,
          [
            "model": .string(Self.model), "prompt_micros": .integer(prompt),
            "completion_micros": .integer(completion),
          ]
        ).status
      }
      let stranger = try await test.manager("stranger")
      #expect(try await set(500_000, 1_000_000, key: stranger.key) == 404)
      #expect(try await set(249_999, 1_000_000, key: landlord.key) == 400)
      #expect(try await set(500_000, 4_000_001, key: landlord.key) == 400)
      // Within the policy, but a new machine's score is not enough to ask more than the list.
      #expect(try await set(500_000, 2_000_001, key: landlord.key) == 400)
      #expect(try await set(1_000_000, 2_000_000, key: landlord.key) == 200)
      #expect(try await set(500_000, 1_000_000, key: landlord.key) == 200)
      let shown = try await test.call(path, key: landlord.key).value
      #expect(
        shown["prices"]?.items?.first?["price"]?["prompt_micros_per_million_tokens"]?.integer
          == 500_000)
      func ask() async throws -> Micros {
        let sealed = try test.seal(newAnswer(), to: [nodes[0].machine])
        return try #require(try await test.ask(sealed).settled.last?.cost)
      }
      let half = try await ask()
      let removed = try await test.call(
        path, key: landlord.key, ["model": .string(Self.model), "remove": .bool(true)])
      #expect(removed.status == 200)
      let whole = try await ask()
      #expect(whole > .zero && whole.rawValue / 2 == half.rawValue)
    }
  }

  @Test func `a user questions an own answer once, and nobody else's`() async throws {
    try await withCoordinator([.answer(tokens: 20)], credit: 0) { test, nodes in
      let user = try await test.manager("alice")
      let other = try await test.manager("eve")
      let answer = newAnswer()
      let sealed = try test.seal(answer, to: [nodes[0].machine])
      #expect(try await test.ask(sealed, using: test.client(key: user.key)).isFinished)
      let earned = test.store.balance(of: test.owner).earned
      let now = SystemTime().unixTime().seconds
      func dispute(_ key: String, ended: Int64) async throws -> (status: Int, value: JSONValue) {
        try await test.call(
          "/v1/disputes", key: key,
          ["answer": .string("\(answer)"), "part": .integer(0), "ended": .integer(ended)])
      }
      #expect(try await dispute(other.key, ended: now).status == 404)
      #expect(test.store.balance(of: test.owner).held == .zero)
      for body: KeyValuePairs<String, JSONValue> in [
        [:], ["answer": .string("zz"), "ended": .integer(1)], ["entry": .integer(0)],
        ["entry": .integer(1), "part": .integer(16)],
      ] {
        #expect(try await test.call("/v1/disputes", key: user.key, body).status == 400)
      }
      let opened = try await dispute(user.key, ended: now)
      #expect(opened.status == 200 && opened.value["side"]?.string == "user")
      #expect(try await dispute(user.key, ended: now).status == 200)
      #expect(test.store.balance(of: test.owner).held == earned)
      let owner = try await test.manager("owner")
      let theirs = try await test.call("/v1/disputes", key: owner.key).value["disputes"]?.items
      #expect(theirs?.first?["micros"]?.integer == earned.rawValue)
      #expect(theirs?.first?["side"]?.string == "owner")
      #expect(
        try await test.call("/v1/disputes", key: other.key).value["disputes"]?.items == [])
      // Long after, the answer is found among the entries.
      let entry = try #require(opened.value["entry"]?.integer)
      try await test.store.apply(
        .resolveDispute(sequence: entry, part: 0, refund: true))
      let again = try await dispute(user.key, ended: now)
      #expect(again.status == 409)
      let found = try await test.store.settlement(
        of: answer, payer: user.account, ended: UnixTime(now))
      #expect(found?.sequence == entry)
      let statement = try await test.call("/v1/statement", key: user.key).value
      #expect(
        statement["change_micros"]?.integer
          == test.store.balance(of: user.account).total.rawValue)
    }
  }
}
