/// Writes events of a `text/event-stream`, WHATWG HTML §9.2.
enum SSEEncoder {
  static func append(
    _ data: [UInt8], event: String?, id: String?, to output: inout [UInt8]
  ) {
    if let event { line("event: ", event, &output) }
    if let id { line("id: ", id, &output) }
    output.append(contentsOf: prefix)
    for (index, byte) in data.enumerated() {
      switch byte {
      case 0x0a:
        output.append(0x0a)
        output.append(contentsOf: prefix)
      case 0x0d:
        // CR and CRLF end a line too; the reader gives LF for either.
        if index + 1 < data.count, data[index + 1] == 0x0a { continue }
        output.append(0x0a)
        output.append(contentsOf: prefix)
      default: output.append(byte)
      }
    }
    output.append(0x0a)
    output.append(0x0a)
  }

  private static let prefix = Array("data: ".utf8)

  private static func line(_ name: StaticString, _ value: String, _ output: inout [UInt8]) {
    output.append(contentsOf: "\(name)".utf8)
    // A line end in a name or id would start another field.
    output.append(contentsOf: value.utf8.filter { $0 != 0x0a && $0 != 0x0d && $0 != 0 })
    output.append(0x0a)
  }
}
