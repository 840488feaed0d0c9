internal import BloomBase
internal import BloomPlatform
internal import BloomWire

/// Shows a short code and waits until a person has approved it, RFC 8628.
struct DeviceWait {
  let client: AccountClient

  /// Waits for the end of a device's request.
  ///
  /// - Parameter grant: What `POST /v1/device/code` answered.
  /// - Returns: What was granted.
  /// - Throws: ``AccountClient/Refusal`` when it was refused or took too long.
  func wait(_ grant: JSONValue) async throws -> JSONValue {
    guard let device = grant["device_code"]?.string, let code = grant["user_code"]?.string,
      var interval = grant["interval"]?.integer, let lifetime = grant["expires_in"]?.integer
    else {
      throw AccountClient.Refusal(
        reason: "malformed", publicDescription: "the coordinator's answer cannot be read")
    }
    ProcessEnvironment.complain(
      """
      code: \(code)
      approve it within \(lifetime / 60) minutes, on a device that is logged in:
        darkbloom login approve \(code)
      or as the network's operator:
        darkbloom-coordinator admin approve \(code) --account ACCOUNT
      """)
    interval = max(1, min(60, interval))
    // The coordinator says when the code is void; one that is gone is not waited for beyond that.
    let time = SystemTime()
    let end = time.now() + .seconds(max(60, min(86_400, lifetime)))
    // Who approves at once need not wait for a whole interval.
    var pause: Int64 = 1
    while true {
      try await Task.sleep(for: .seconds(pause))
      pause = interval
      do {
        return try await client.post("/v1/device/token", ["device_code": .string(device)])
      } catch let refusal as AccountClient.Refusal {
        let goesOn = ["authorization_pending", "slow_down", "unreachable"].contains(refusal.reason)
        guard goesOn, time.now() < end else { throw Self.last(refusal) }
        if refusal.reason == "slow_down" {
          interval += 5
          pause = interval
        }
      }
    }
  }

  /// The refusal that ends the wait, in the words of this command.
  private static func last(_ refusal: AccountClient.Refusal) -> AccountClient.Refusal {
    switch refusal.reason {
    case "access_denied":
      AccountClient.Refusal(
        reason: refusal.reason, publicDescription: "the request was refused by a person")
    case "expired_token", "authorization_pending", "slow_down":
      AccountClient.Refusal(
        reason: refusal.reason,
        publicDescription: "nobody approved the code in time; run the command again")
    default: refusal
    }
  }
}
