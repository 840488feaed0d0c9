/// Writes heads and chunks, for both roles.
///
/// The writers make Host, Content-Length, Transfer-Encoding, Connection and Date themselves and
/// leave out fields of those names, so that a head says one thing about framing.
public enum HTTPWriter: Sendable {
  /// Appends a response head.
  ///
  /// - Parameters:
  ///   - head: Its `framing` becomes a field, also where no body follows (HEAD, 304); 1xx and 204
  ///     get none. With ``BodyFraming/untilClose`` or without `keepsAlive` it says `close`.
  ///   - date: 29 bytes from ``HTTPDate``, cached by the caller; `nil` leaves Date out.
  ///   - output: Where to.
  public static func append(
    _ head: ResponseHead, date: [UInt8]? = nil, to output: inout [UInt8]
  ) {
    appendStatusLine(head.status, to: &output)
    if let date {
      append("Date: ", to: &output)
      output.append(contentsOf: date)
      append("\r\n", to: &output)
    }
    if head.status.code >= 200, head.status != .noContent {
      append(head.framing, isResponse: true, to: &output)
    }
    if head.status == .switchingProtocols {
      append("Connection: Upgrade\r\n", to: &output)
    } else if head.status.code >= 200, !head.keepsAlive || head.framing == .untilClose {
      append("Connection: close\r\n", to: &output)
    } else if head.version == .http10, head.status.code >= 200 {
      append("Connection: keep-alive\r\n", to: &output)
    }
    head.fields.write(into: &output) { isOwn($0) || equalIgnoringCase($0, dateName) && date != nil }
    append("\r\n", to: &output)
  }

  /// Appends a request head.
  ///
  /// - Parameters:
  ///   - head: ``BodyFraming/untilClose`` is not a request framing and is written as `chunked`.
  ///   - host: The Host field; replaces one in the fields.
  ///   - output: Where to.
  public static func append(_ head: RequestHead, host: Authority, to output: inout [UInt8]) {
    output.append(contentsOf: head.method.name.utf8)
    output.append(0x20)
    output.append(contentsOf: head.target.text.utf8)
    append(" HTTP/1.1\r\nHost: ", to: &output)
    output.append(contentsOf: host.description.utf8)
    append("\r\n", to: &output)
    append(head.framing, isResponse: false, to: &output)
    if head.asksUpgrade {
      append("Connection: Upgrade\r\n", to: &output)
    } else if !head.keepsAlive {
      append("Connection: close\r\n", to: &output)
    }
    if head.expectsContinue { append("Expect: 100-continue\r\n", to: &output) }
    head.fields.write(into: &output) {
      isOwn($0) || equalIgnoringCase($0, hostName)
        || head.expectsContinue && equalIgnoringCase($0, expectName)
    }
    append("\r\n", to: &output)
  }

  /// Appends one chunk; nothing when there are no bytes, since an empty chunk ends the body.
  public static func appendChunk(_ bytes: Span<UInt8>, to output: inout [UInt8]) {
    if bytes.isEmpty { return }
    appendChunkSize(bytes.count, to: &output)
    output.append(bytes, 0..<bytes.count)
    append("\r\n", to: &output)
  }

  /// Appends the line before a chunk of `count` bytes; the caller sends them and CRLF after it.
  public static func appendChunkSize(_ count: Int, to output: inout [UInt8]) {
    var shift = max(0, (Int.bitWidth - count.leadingZeroBitCount - 1) / 4 * 4)
    while shift >= 0 {
      let digit = UInt8(truncatingIfNeeded: count >> shift) & 15
      output.append(digit < 10 ? 0x30 + digit : 0x57 + digit)
      shift -= 4
    }
    append("\r\n", to: &output)
  }

  /// Appends the end of a chunked body.
  public static func appendLastChunk(to output: inout [UInt8]) {
    append("0\r\n\r\n", to: &output)
  }

  /// The whole answer to a request that could not be parsed: text, `Connection: close`.
  public static func refusal(_ error: HTTPError, date: [UInt8]? = nil) -> [UInt8] {
    var fields = HTTPFields()
    fields.add(.contentType, "text/plain; charset=utf-8")
    let body = Array((error.publicDescription + "\n").utf8)
    var head = ResponseHead(error.status, fields: fields, framing: .length(body.count))
    head.keepsAlive = false
    var output: [UInt8] = []
    append(head, date: date, to: &output)
    return output + body
  }

  private static let hostName = Array("host".utf8)
  private static let dateName = Array("date".utf8)
  private static let expectName = Array("expect".utf8)
  private static let lengthName = Array("content-length".utf8)
  private static let codingName = Array("transfer-encoding".utf8)
  private static let connectionName = Array("connection".utf8)

  private static func isOwn(_ name: ArraySlice<UInt8>) -> Bool {
    switch name.count {
    case 10: equalIgnoringCase(name, connectionName)
    case 14: equalIgnoringCase(name, lengthName)
    case 17: equalIgnoringCase(name, codingName)
    default: false
    }
  }

  private static func append(
    _ framing: BodyFraming, isResponse: Bool, to output: inout [UInt8]
  ) {
    switch framing {
    case .length(let count):
      append("Content-Length: ", to: &output)
      output.appendDecimal(count)
      append("\r\n", to: &output)
    case .chunked:
      append("Transfer-Encoding: chunked\r\n", to: &output)
    case .untilClose:
      if !isResponse { append("Transfer-Encoding: chunked\r\n", to: &output) }
    case .none:
      // A response without a length would otherwise be read until the connection closes.
      if isResponse { append("Content-Length: 0\r\n", to: &output) }
    }
  }

  private static func appendStatusLine(_ status: HTTPStatus, to output: inout [UInt8]) {
    if status == .ok {
      append("HTTP/1.1 200 OK\r\n", to: &output)
      return
    }
    append("HTTP/1.1 ", to: &output)
    output.appendDecimal(status.code)
    output.append(0x20)
    output.append(contentsOf: status.reason.utf8)
    append("\r\n", to: &output)
  }

  private static func append(_ text: StaticString, to output: inout [UInt8]) {
    unsafe output.append(
      contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }
}
