internal import BloomBase
internal import BloomCrypto
internal import BloomHTTP
internal import BloomNet
internal import BloomWire

/// Keeps one link to one of the coordinators: connects, carries messages, comes back.
struct NodeLinkDriver: Sendable {
  /// Bytes that may wait for the coordinator: the credit of all streams, and control.
  static let outboxBytes = 160 << 20

  let coordinators: [HTTPURL]
  /// Shown when the link is opened; `nil` for none.
  var apiKey: String?
  let client: HTTPClient
  let agent: NodeAgent
  let loop: EventLoop
  let log: Log

  /// Runs until the agent stops or the task is cancelled.
  func run() async {
    var choice = CoordinatorChoice(count: coordinators.count)
    var random = SecureRandom()
    while await agent.untilRecord() {
      var ending = LinkEnding(wasOpen: false, retryAfter: nil)
      do {
        ending = try await connect(to: coordinators[choice.index])
      } catch {
        if Task.isCancelled { return }
        log.warning(
          "coordinator not reached", ["reason": .error(error), "number": .count(choice.index)])
        await agent.linkFailed(error.safeDescription)
      }
      let delay = choice.ended(ending, using: &random)
      await agent.linkWaits(delay)
      // Cancelled means that the agent stops, which the loop's condition sees.
      try? await loop.sleep(for: delay)
      if Task.isCancelled { return }
    }
  }

  private func connect(to url: HTTPURL) async throws -> LinkEnding {
    var options = WebSocketOptions()
    options.limits.maxMessageBytes = Limits.controlMessage
    // The link's own machine asks for signs of life.
    options.pingInterval = nil
    options.idleTimeout = nil
    var headers = HTTPFields()
    if let apiKey { headers.add(.authorization, try HTTPFieldValue("Bearer " + apiKey)) }
    let socket = try await client.webSocket(url, headers: headers, options: options)
    let outbox = TwoLaneQueue(byteLimit: Self.outboxBytes)
    let pings = TwoLaneQueue(byteLimit: 1_024)
    await agent.connected(outbox: outbox, pings: pings, exporter: socket.tls?.exporter)
    await withTaskGroup(of: Void.self) { group in
      group.addTask { await write(outbox, to: socket) }
      group.addTask { await read(socket) }
      group.addTask { await ping(pings, socket) }
      await group.next()
      outbox.finish(dropping: true)
      pings.finish(dropping: true)
      group.cancelAll()
    }
    await socket.close()
    return await agent.disconnected()
  }

  private func read(_ socket: WebSocket) async {
    do {
      while let message = try await socket.receive() {
        guard case .binary(let bytes) = message else { return }
        await agent.received(bytes)
      }
    } catch {
      return  // the link ends whatever the reason; the driver connects again
    }
  }

  private func write(_ outbox: TwoLaneQueue, to socket: WebSocket) async {
    while true {
      let batch = await outbox.next()
      if batch.isEmpty { return }
      do { try await socket.send(batch) } catch { return }  // as in read
    }
  }

  private func ping(_ pings: TwoLaneQueue, _ socket: WebSocket) async {
    while !(await pings.next()).isEmpty {
      // Without a pong the machine's own deadline ends the link.
      if (try? await socket.ping()) != nil { await agent.heard() }
    }
  }
}

/// How a connection went.
struct LinkEnding: Sendable, Equatable {
  /// Whether the coordinator had said welcome.
  var wasOpen: Bool
  /// When it wants to see the node again.
  var retryAfter: Duration?
}
