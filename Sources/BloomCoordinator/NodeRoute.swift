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
      // One child, not two: ten thousand nodes mostly wait, and a task that waits has its memory.
      await withTaskGroup(of: Void.self) { group in
        group.addTask {
          await write(outbox, to: socket, id)
          await socket.close()
        }
        await read(socket, id)
        outbox.finish(dropping: true)
        group.cancelAll()
      }
      await hub.disconnected(id)
    }
  }

  private func read(_ socket: WebSocket, _ id: SessionID) async {
    do {
      while let messages = try await socket.receiveAll() {
        var batch: [[UInt8]] = []
        batch.reserveCapacity(messages.count)
        for case .binary(let bytes) in messages { batch.append(bytes) }
        await hub.received(batch, from: id)
        if batch.count < messages.count { return }  // a node sends no text
      }
    } catch {
      // The link ends whatever the reason; the hub is told by the caller.
    }
  }

  private func ping(_ socket: WebSocket, _ id: SessionID) {
    // A task of its own, since nothing may wait for a pong. It ends with the pong, after ten
    // seconds or with the connection; the machine asks no oftener, so there are two at most.
    Task(executorPreference: socket.loop) {
      // Without a pong the machine's own deadline ends the link.
      await hub.pinged(id, roundTrip: try? await socket.ping())
    }
  }

  private func write(_ outbox: TwoLaneQueue, to socket: WebSocket, _ id: SessionID) async {
    while true {
      let batch = await outbox.next()
      if batch.isEmpty { return }
      if batch.contains(where: \.isEmpty) { ping(socket, id) }
      do { try await socket.send(batch.filter { !$0.isEmpty }) } catch { return }  // as in read
    }
  }
}
