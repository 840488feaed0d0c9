/// Writes server-sent events, WHATWG HTML §9.2.5.
public enum SSEEncoder: Sendable {
  /// The content type of such a stream.
  public static let contentType: HTTPFieldValue = "text/event-stream"

  /// Appends an event.
  ///
  /// - Parameters:
  ///   - data: UTF-8; each of its lines becomes a `data:` line.
  ///   - type: The event type; line ends and NUL in it are left out.
  ///   - id: The event's id; line ends and NUL in it are left out.
  ///   - output: Where to.
  public static func append(
    data: Span<UInt8>, type: String? = nil, id: String? = nil, to output: inout [UInt8]
  ) {
    if let type { appendField("event: ", type, to: &output) }
    if let id { appendField("id: ", id, to: &output) }
    var start = 0
    var index = 0
    while index < data.count {
      let byte = data[index]
      if byte == 0x0a || byte == 0x0d {
        appendData(data, start..<index, to: &output)
        if byte == 0x0d, index + 1 < data.count, data[index + 1] == 0x0a { index += 1 }
        start = index + 1
      }
      index += 1
    }
    appendData(data, start..<data.count, to: &output)
    output.append(0x0a)
  }

  /// Appends an event made from a text.
  public static func append(
    _ data: String, type: String? = nil, id: String? = nil, to output: inout [UInt8]
  ) {
    append(data: Array(data.utf8).span, type: type, id: id, to: &output)
  }

  /// Appends a comment, which clients ignore: keeps proxies from closing an idle stream.
  public static func appendComment(_ text: String = "", to output: inout [UInt8]) {
    appendField(": ", text, to: &output)
    output.append(0x0a)
  }

  /// Appends how long a client should wait before it connects again.
  ///
  /// - Parameters:
  ///   - milliseconds: Not negative.
  ///   - output: Where to.
  public static func appendRetry(milliseconds: Int, to output: inout [UInt8]) {
    appendField("retry: ", String(max(0, milliseconds)), to: &output)
    output.append(0x0a)
  }

  private static func appendData(
    _ data: Span<UInt8>, _ range: Range<Int>, to output: inout [UInt8]
  ) {
    output.append(contentsOf: "data: ".utf8)
    output.append(data, range)
    output.append(0x0a)
  }

  private static func appendField(_ name: String, _ value: String, to output: inout [UInt8]) {
    output.append(contentsOf: name.utf8)
    for byte in value.utf8 where byte != 0x0a && byte != 0x0d && byte != 0 { output.append(byte) }
    output.append(0x0a)
  }
}
