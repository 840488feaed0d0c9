import BloomCrypto

/// A certificate that is read is its whole input; signatures in DER have one form.
func fuzz(_ input: [UInt8]) {
  if (try? Certificate(der: input)) != nil {
    require((try? Certificate(der: input + [0])) == nil, "a certificate is not its input")
  }
  if let raw = try? ECDSASignature.raw(fromDER: input, coordinateByteCount: 32) {
    require(raw.count == 64, "a signature of another width")
    require(ECDSASignature.der(fromRaw: raw) == input, "a signature has two forms")
  }
}
