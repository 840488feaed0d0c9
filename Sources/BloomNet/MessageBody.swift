/// The body of a request, or of a response to a client: chunks of bytes as they come.
///
/// Pulling the next chunk is what makes the peer send more, so a slow consumer holds the peer
/// back. One consumer; a second iteration goes on where the first ended.
public struct MessageBody: AsyncSequence, Sendable {
  /// Non-empty bytes.
  public typealias Element = [UInt8]

  let source: BodySource

  /// A body that is there already.
  public init(_ bytes: [UInt8] = []) { source = BytesSource(bytes) }

  init(_ source: BodySource) { self.source = source }

  /// The whole body.
  ///
  /// - Parameter limit: Bytes at most.
  /// - Returns: All bytes.
  /// - Throws: ``NetError/Code/tooLarge`` beyond the limit, and any transport or parse error.
  @concurrent
  public func collect(upTo limit: Int) async throws -> [UInt8] {
    var all: [UInt8] = []
    while let chunk = try await source.next() {
      guard all.count + chunk.count <= limit else {
        throw NetError(.tooLarge, "the body is larger than \(limit) bytes")
      }
      if all.isEmpty { all = chunk } else { all += chunk }
    }
    return all
  }

  /// Starts to read.
  public func makeAsyncIterator() -> Iterator { Iterator(source: source) }

  /// Reads chunk after chunk.
  public struct Iterator: AsyncIteratorProtocol {
    let source: BodySource

    /// The next chunk; `nil` at the end.
    public mutating func next() async throws -> [UInt8]? { try await source.next() }
  }
}

@available(*, unavailable)
extension MessageBody.Iterator: Sendable {}

/// The body of a request.
public typealias RequestBody = MessageBody

/// Where a body comes from.
class BodySource: @unchecked Sendable {
  // @unchecked: subclasses state their own rule.

  /// The next non-empty chunk, `nil` at the end; callable from anywhere.
  @concurrent
  func next() async throws -> [UInt8]? { nil }
}

/// Bytes that are there already.
private final class BytesSource: BodySource, @unchecked Sendable {
  // @unchecked: one consumer, see `MessageBody`.
  private var bytes: [UInt8]

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  @concurrent
  override func next() async throws -> [UInt8]? {
    if bytes.isEmpty { return nil }
    defer { bytes = [] }
    return bytes
  }
}
