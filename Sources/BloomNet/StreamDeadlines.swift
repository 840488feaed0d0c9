/// The two deadlines of a stream, looked after by the wheel of its loop.
final class StreamDeadlines: WheelEntry {
  /// Which deadline; the text of a read deadline names what was awaited.
  enum Kind: Sendable {
    /// The next bytes, head or handshake.
    case read(StaticString)
    /// The kernel takes what was written.
    case write
  }

  private unowned let stream: ByteStream
  private var isStreamAlive = true
  private var read: UInt64?
  private var write: UInt64?
  private var awaited: StaticString = ""

  init(_ stream: ByteStream) { self.stream = stream }

  func set(_ kind: Kind, at tick: UInt64) {
    switch kind {
    case .read(let what):
      read = tick
      awaited = what
    case .write: write = tick
    }
  }

  func clear(_ kind: Kind) {
    switch kind {
    case .read: read = nil
    case .write: write = nil
    }
  }

  /// The stream closed; it may be gone when the wheel's slot comes.
  func clearAll() {
    read = nil
    write = nil
    isStreamAlive = false
  }

  override var nextDeadline: UInt64? {
    switch (read, write) {
    case (let read?, let write?): min(read, write)
    case (let read?, nil): read
    case (nil, let write): write
    }
  }

  override func expired(at tick: UInt64) {
    guard isStreamAlive else { return }
    if let write, write <= tick {
      stream.fail(.timedOut("the peer does not read"))
    } else if let read, read <= tick {
      stream.fail(.timedOut("\(awaited)"))
    }
  }
}
