internal import BloomBase
internal import BloomClient
internal import BloomNet
internal import BloomWire

/// What the coordinator was shown, for the gateway's owner: `darkbloom wiretap` reads it.
///
/// `GET /darkbloom/wiretap` gives the events that are kept as a JSON array; with `?follow=1` they
/// come as server-sent events, and new ones as they happen.
struct WireTapRoutes: Sendable {
  /// Where everything of the owner's own lies.
  static let prefix = "/darkbloom/"

  private let tap: WireTap

  init(tap: WireTap) { self.tap = tap }

  func add(to router: inout Router) {
    router.get(Self.prefix + "wiretap") { [tap] request in
      let first = request.query("after").flatMap { Int($0) } ?? 0
      guard request.query("follow") == "1" else {
        return .json(JSONValue.array(tap.events(after: first).map(\.json)).encoded)
      }
      let loop = request.connection.loop
      return .sse { writer in
        var last = first
        while !tap.isClosed {
          for event in tap.events(after: last) {
            last = event.number
            try await writer.send(event.json.encoded)
          }
          try await AnswerReader.sleep(.milliseconds(100), on: loop)
        }
      }
    }
  }
}
