import BloomWire

/// A link that was read is written so that the same is read again.
func fuzz(_ input: [UInt8]) {
  guard let link = try? NetworkLink(String(decoding: input, as: UTF8.self)) else { return }
  require((try? NetworkLink(link.text)) == link, "a link comes back as another")
}
