internal import BloomBase

/// Textual encodings of DER, RFC 7468.
package enum PEM: Sendable {
  /// The longest text we read: a bundle of vendor roots has some 200 KiB.
  package static let maximumByteCount = 1 << 20

  /// Wraps DER in lines of 64 characters.
  package static func encode(_ der: [UInt8], label: String) -> String {
    let text = Array(Base64.encode(der).utf8)
    var lines = ["-----BEGIN \(label)-----"]
    for start in stride(from: 0, to: text.count, by: 64) {
      lines.append(String(decoding: text[start..<min(start + 64, text.count)], as: UTF8.self))
    }
    return (lines + ["-----END \(label)-----", ""]).joined(separator: "\n")
  }

  /// The DER of every block with a label, in order; text between blocks is ignored.
  ///
  /// - Throws: `.malformed` for a block that does not end or is not base64, or for none at all.
  package static func decode(_ text: [UInt8], label: String) throws(CryptoError) -> [[UInt8]] {
    let refusal = CryptoError(.malformed, "a PEM text")
    guard text.count <= maximumByteCount else { throw refusal }
    var blocks: [[UInt8]] = []
    var body: [UInt8]?
    for line in text.split(whereSeparator: { $0 == 10 || $0 == 13 }) {
      if line.elementsEqual("-----BEGIN \(label)-----".utf8) {
        guard body == nil else { throw refusal }
        body = []
      } else if line.elementsEqual("-----END \(label)-----".utf8) {
        guard let characters = body,
          let der = Base64.decode(String(decoding: characters, as: UTF8.self)), !der.isEmpty
        else { throw refusal }
        blocks.append(der)
        body = nil
      } else {
        body?.append(contentsOf: line.filter { $0 != 32 && $0 != 9 })
      }
    }
    guard body == nil, !blocks.isEmpty else { throw refusal }
    return blocks
  }
}
