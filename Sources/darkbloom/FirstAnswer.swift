internal import BloomBase
internal import BloomNode
internal import BloomPlatform
internal import BloomRecords
internal import BloomSeal
internal import BloomWire

/// Tells, after the first answer of a new network, where it was sealed to and that it is proven.
struct FirstAnswer: Sendable {
  let context: CommandContext

  /// Waits for the first receipt that the gateway verified, and says what it proves; once.
  func tell() async {
    // The gateway answers before this is called; should it not, there is nothing to tell.
    guard let gateway = try? GatewayClient(context) else { return }
    var last: Int64 = 0
    var asked: [String] = []
    while !Task.isCancelled {
      try? await Task.sleep(for: .milliseconds(500))  // the loop's condition sees cancellation
      guard let events = try? await gateway.get("/darkbloom/wiretap?after=\(last)").items else {
        continue
      }
      for event in events {
        last = event["number"]?.integer ?? last
        if event["event"]?.string == "request", let answer = event["answer"]?.string,
          asked.count < 64, !asked.contains(answer)
        {
          asked.append(answer)
        }
      }
      for answer in asked where say(answer) { return }
    }
  }

  /// Whether the answer has a receipt, and it was told.
  private func say(_ answer: String) -> Bool {
    // Until the answer is over there is none.
    guard let stored = try? StoredReceipt.find(answer, context),
      let report = try? stored.report(request: nil, response: nil),
      let claims = try? stored.claims()
    else { return false }
    let machine = claims.node.digest.hex.prefix(8)
    ProcessEnvironment.complain(
      report.holds
        ? "· first answer: sealed to machine \(machine), receipt verified; see it with: "
          + "darkbloom receipts show \(answer)"
        : "· first answer: the receipt of machine \(machine) does not hold; see why with: "
          + "darkbloom verify \(answer)")
    return true
  }
}

/// How far the node is with its models, for whoever waits.
struct LoadingState: Sendable {
  let socket: String

  /// For example `smollm2 40 %`; `nil` while the node tells nothing.
  func text() async -> String? {
    // The node does not listen yet, or stops: then there is nothing to say.
    guard let status = try? await NodeConsoleClient(socket: socket).ask(.status) else { return nil }
    let parts = (status["models"]?.items ?? []).compactMap { model -> String? in
      guard let name = model["name"]?.string, let state = model["state"]?.string,
        state != "loaded"
      else { return nil }
      let failure = model["failure"]?.string.map { ": \($0)" } ?? ""
      return "\(name) \(state) \((model["loaded_permille"]?.integer ?? 0) / 10) %\(failure)"
    }
    // Loaded, and yet not listed: then it is the policy of the gateway that takes no such machine.
    return parts.isEmpty
      ? "loaded; the gateway lists what your policy takes (darkbloom policy show)"
      : parts.joined(separator: ", ")
  }
}
