import BloomRecords

/// A coordinator reads the prefix of an envelope in one way, and forwards a prefix that reads again.
func fuzz(_ input: [UInt8]) {
  guard let prefix = try? EnvelopePrefix.read(input) else { return }
  require(prefix.byteCount <= input.count, "a prefix is longer than its envelope")
  require(prefix.head.encoded == prefix.headBytes, "a head has two encodings")
  var whole = prefix.headBytes + [UInt8(prefix.candidates.count)]
  for candidate in prefix.candidates { candidate.append(to: &whole) }
  require(whole == Array(input[..<prefix.byteCount]), "a prefix has two encodings")
  for candidate in prefix.candidates {
    let forwarded = try? EnvelopePrefix.read(prefix.forwarded(to: candidate))
    require(forwarded?.candidates == [candidate], "a forwarded prefix does not read")
  }
  for cut in [0, 1, prefix.byteCount / 2, prefix.byteCount - 1] {
    require((try? EnvelopePrefix.read(Array(input[..<cut]))) == .some(nil), "a cut prefix is whole")
  }
}
