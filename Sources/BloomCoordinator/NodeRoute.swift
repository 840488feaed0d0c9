internal import BloomBase
internal import BloomWire
internal import BloomCrypto
internal import BloomHTTP
internal import BloomNet

/// `GET /v1/node`: the WebSocket of a node's agent.
struct NodeRoute: Sendable {
  let hub: Hub
  /// Whether a connection may become a node's; on a public network the proof alone counts.
  var admits: @Sendable (Request) -> Bool = { _ in true }
  /// Bytes that may wait for one node: a full request and control beside it.
  static let outboxBytes = (64 << 20) + (1 << 20)

  func respond(to request: Request) -> Response {
    guard admits(request) else { return SealedRoute.refusal(.unauthorized) }
    let exporter = request.connection.tls?.exporter
    var options = WebSocketOptions()
    options.limits.maxMessageBytes = 128 << 10
    return .webSocket(options) { socket in
      let outbox = TwoLaneQueue(byteLimit: Self.outboxBytes)
      let nonce = Digest(SecureRandom.bytes(32)) ?? .zero
      guard let id = await hub.connected(outbox: outbox, exporter: exporter, nonce: nonce) else {
        return await socket.close(.goingAway, "draining")
      }
      // A pong may take long: nothing else waits for it.
      let pings = TwoLaneQueue(byteLimit: 1024)
      await withTaskGroup(of: Void.self) { group in
        group.addTask {
          await write(outbox, to: socket, pings)
          await socket.close()
        }
        group.addTask { await ping(pings, socket, id) }
        group.addTask {
          await read(socket, id)
          outbox.finish(dropping: true)
        }
        await group.next()
        outbox.finish(dropping: true)
        pings.finish(dropping: true)
        group.cancelAll()
      }
      await hub.disconnected(id)
    }
  }

  private func read(_ socket: WebSocket, _ id: SessionID) async {
    do {
      while let message = try await socket.receive() {
        guard case .binary(let bytes) = message else { return }
        await hub.received(bytes, from: id)
      }
    } catch {
      return  // the link ends whatever the reason; the hub is told by the caller
    }
  }

  private func ping(_ pings: TwoLaneQueue, _ socket: WebSocket, _ id: SessionID) async {
    while !(await pings.next()).isEmpty {
      // Without a pong the machine's own deadline ends the link.
      await hub.pinged(id, roundTrip: try? await socket.ping())
    }
  }

  private func write(
    _ outbox: TwoLaneQueue, to socket: WebSocket, _ pings: TwoLaneQueue
  ) async {
    while true {
      let batch = await outbox.next()
      if batch.isEmpty { return }
      for message in batch {
        do {
          if message.isEmpty {
            pings.push([0], isControl: true)
          } else {
            try await socket.send(message)
          }
        } catch {
          return  // as in read
        }
      }
    }
  }
}
