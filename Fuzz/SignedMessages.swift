import BloomCrypto

/// One of our own signed messages has one encoding, and others' decoder takes it too.
func fuzz(_ input: [UInt8]) {
  let general = try? COSESign1(decoding: input, profile: .general)
  if let own = try? COSESign1(decoding: input) {
    require(own.encoded == input, "a signed message has two encodings")
    require(own == general, "the general profile reads it otherwise")
  }
}
