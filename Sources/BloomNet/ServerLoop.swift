internal import BloomBase
internal import BloomHTTP

/// The listeners and connections of one server on one loop.
final class ServerLoop: @unchecked Sendable {
  // @unchecked: touched on `loop` only.
  let loop: EventLoop
  var listeners: [Listener] = []
  private var connections: [ObjectIdentifier: ServerConnection] = [:]
  private(set) var isDraining = false
  private var dateTick: UInt64?
  private var dateBytes: [UInt8] = []
  private var contextUntil: UInt64 = 0

  init(_ loop: EventLoop) { self.loop = loop }

  /// Serves a connection, or closes it when there are too many.
  func accept(_ stream: ByteStream, usesTLS: Bool, _ server: HTTPServer) {
    guard !isDraining, server.admit(stream.peer) else { return stream.close() }
    let tls = usesTLS ? tlsContext(of: server) : nil
    let connection = ServerConnection(stream, self, server)
    connections[ObjectIdentifier(connection)] = connection
    connection.task = Task(executorPreference: loop) {
      guard let upgrade = await connection.run(tls) else { return self.remove(connection) }
      // A task of its own: the memory of this one has grown to serve requests, and a task keeps
      // what it has until it ends, which for an idle WebSocket may be days.
      let next = Task(executorPreference: self.loop) {
        await connection.serve(upgrade)
        self.remove(connection)
      }
      if Task.isCancelled { next.cancel() }
      connection.task = next
    }
  }

  private func remove(_ connection: ServerConnection) {
    connections[ObjectIdentifier(connection)] = nil
    connection.server.leave(connection.stream.peer)
  }

  /// The context for a new connection.
  ///
  /// From time to time it is made anew: with the certificate that the files hold then, and with
  /// fresh keys for tickets, of which each context draws its own.
  private func tlsContext(of server: HTTPServer) -> TLSContext? {
    if contextUntil != 0, loop.tick >= contextUntil {
      do throws(NetError) {
        try server.reloadCertificates()
      } catch {
        // Files that do not fit each other leave the old context in use until the next time.
        server.configuration.onBadCertificate(error)
      }
    }
    if loop.tick >= contextUntil {
      contextUntil = loop.tick(after: server.configuration.certificateTime)
    }
    return server.tlsContext
  }

  func stopListening() {
    for listener in listeners { listener.close() }
    listeners = []
  }

  func drain() {
    isDraining = true
    for connection in connections.values { connection.drain() }
  }

  func endAll() {
    for connection in connections.values { connection.end() }
  }

  /// The Date field's value; made ten times a second, when it is asked for.
  var date: [UInt8] {
    let tick = loop.tick
    if tick != dateTick {
      dateTick = tick
      dateBytes = HTTPDate.bytes(SystemTime().unixTime())
    }
    return dateBytes
  }
}
