internal import BloomBase
internal import BloomHTTP
internal import BloomNet
internal import BloomWire

extension NodeDoctor {
  /// All configured coordinators, and whether the first that answers would let this machine in.
  ///
  /// One of several that is away is no fault while another is there.
  func coordinators() async -> [Finding] {
    let urls = configuration.coordinators
    var findings: [Finding] = []
    for (index, url) in urls.enumerated() {
      findings.append(
        await coordinator(url, urls.count > 1 ? "coordinator \(index + 1)" : "coordinator"))
    }
    guard let first = findings.firstIndex(where: { $0.state == .ok }) else { return findings }
    findings = findings.map { finding in
      guard finding.state == .fault, !finding.name.hasPrefix("clock") else { return finding }
      return Finding(
        name: finding.name, state: .warning, text: finding.text, fix: finding.fix)
    }
    if let enrolment = await enrolment(urls[first]) { findings.append(enrolment) }
    return findings
  }

  private func coordinator(_ base: String, _ name: String) async -> Finding {
    let client = HTTPClient(configuration.client)
    defer { client.close() }
    do {
      let response = try await client.send(
        try .get(Self.url(base, "/readyz")), timeout: .seconds(10))
      guard response.status == .ok else {
        return Finding(
          name: name, state: .fault, text: "answers with status \(response.status.code)",
          fix: "check its address, or try later")
      }
      if let date = response.headers[.date], !isNow(date) {
        return Finding(
          name: "clock", state: .fault,
          text: "differs from the coordinator's by more than \(Self.skewSeconds) s",
          fix: "set the machine's clock; keys would be refused")
      }
      return Finding(name: name, state: .ok, text: "answers", fix: nil)
    } catch {
      return Finding(
        name: name, state: .fault, text: error.safeDescription,
        fix: "check the network, the proxy and the coordinator's address")
    }
  }

  /// Asks by the machine's own signature; `nil` when it cannot be asked.
  private func enrolment(_ base: String) async -> Finding? {
    guard let logKey,
      let identity = try? NodeIdentity.software(folder: configuration.dataFolder)
    else { return nil }
    let name = "enrolment"
    let client = HTTPClient(configuration.client)
    defer { client.close() }
    do {
      let given = try await post(.object([]), Self.url(base, "/v1/enrol/challenge"), client)
      guard let challenge = given.value["challenge"]?.string.flatMap({ Hex.decode($0) }) else {
        return Finding(
          name: name, state: .fault, text: "the coordinator's answer cannot be read",
          fix: "check its address: is it a Darkbloom coordinator?")
      }
      let proof = try identity.enrolmentProof(.check, challenge: challenge, logKey: logKey)
      let answer = try await post(.object(proof), Self.url(base, "/v1/enrol/check"), client)
      switch answer.status {
      case .ok:
        return Finding(
          name: name, state: .ok, text: "belongs to \(answer.value["account"]?.string ?? "?")",
          fix: nil)
      case .notFound:
        return Finding(
          name: name, state: .fault,
          text: answer.value["error"]?["message"]?.string ?? "the machine is in no account",
          fix: "darkbloom node enroll")
      default:
        return Finding(
          name: name, state: .fault,
          text: answer.value["error"]?["message"]?.string ?? "status \(answer.status.code)",
          fix: "join the network anew by its operator's link: darkbloom join LINK")
      }
    } catch {
      return Finding(
        name: name, state: .fault, text: error.safeDescription,
        fix: "check the network, then run this again")
    }
  }

  private func post(
    _ body: JSONValue, _ url: String, _ client: HTTPClient
  ) async throws -> (status: HTTPStatus, value: JSONValue) {
    let response = try await client.send(
      try .post(url, body.encoded), timeout: .seconds(10))
    let bytes = try await response.body.collect(upTo: 1 << 16)
    // An error page of something between is no JSON.
    return (response.status, (try? JSONValue(decoding: bytes)) ?? .null)
  }

  private static func url(_ base: String, _ path: String) -> String {
    (base.hasSuffix("/") ? String(base.dropLast()) : base) + path
  }

  /// Whether a date field names a second near now.
  private func isNow(_ date: String) -> Bool {
    guard let there = HTTPDate.time(date) else { return false }
    return abs(there.seconds - time.unixTime().seconds) <= Self.skewSeconds
  }
}
