internal import BloomPlatform
package import BloomWire

#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// Reads commands from the agent's descriptor, blocking a thread of its own.
package actor ChannelReader {
  private let executor = ThreadExecutor(name: "channel-reader")
  private let descriptor: Int32
  private var framing = LengthFraming(limit: WorkerLinkLimits.message)
  private var buffer = [UInt8](repeating: 0, count: 65_536)

  /// Jobs run on the reader's thread.
  package nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe executor.asUnownedSerialExecutor()
  }

  /// Reads from an open descriptor, which stays the caller's.
  package init(descriptor: Int32) { self.descriptor = descriptor }

  deinit { executor.stop() }

  /// Waits for the next command; `nil` when the agent has closed its end.
  ///
  /// - Throws: ``WorkerError``; commands of a later version are passed over.
  package func next() throws(WorkerError) -> WorkerCommand? {
    while true {
      do throws(WireError) {
        if let message = try framing.next() { return try WorkerCommand(decoding: message) }
      } catch {
        if case .unknownMessage = error { continue }
        throw WorkerError(.badCommand, error.publicDescription)
      }
      let count = unsafe read(descriptor, &buffer, buffer.count)
      if count > 0 {
        framing.append(buffer[..<count])
      } else if count == 0 {
        guard framing.isAtBoundary else { throw WorkerError(.channel, "it ended inside a message") }
        return nil
      } else if errno != EINTR {
        throw WorkerError(.channel, "reading gave error \(errno)")
      }
    }
  }

  /// Reads one command without any other thread: for the order, which comes before lock-down.
  package nonisolated static func first(descriptor: Int32) throws(WorkerError) -> WorkerCommand? {
    // One message exactly: what follows belongs to the reader that comes later.
    guard let head = try exactly(4, descriptor) else { return nil }
    let length = head.reduce(0) { $0 << 8 | Int($1) }
    guard length <= WorkerLinkLimits.message else {
      throw WorkerError(.badCommand, "the first message is too long")
    }
    guard let message = try exactly(length, descriptor) else {
      throw WorkerError(.channel, "it ended inside a message")
    }
    do throws(WireError) {
      return try WorkerCommand(decoding: message)
    } catch {
      throw WorkerError(.badCommand, error.publicDescription)
    }
  }

  private nonisolated static func exactly(
    _ count: Int, _ descriptor: Int32
  ) throws(WorkerError) -> [UInt8]? {
    var bytes: [UInt8] = []
    while bytes.count < count {
      var piece = [UInt8](repeating: 0, count: count - bytes.count)
      let got = unsafe read(descriptor, &piece, piece.count)
      if got > 0 {
        bytes.append(contentsOf: piece[..<got])
      } else if got == 0 {
        if bytes.isEmpty { return nil }
        throw WorkerError(.channel, "it ended inside a message")
      } else if errno != EINTR {
        throw WorkerError(.channel, "reading gave error \(errno)")
      }
    }
    return bytes
  }
}
