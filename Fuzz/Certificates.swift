import BloomCrypto

/// A certificate that is read is its whole input; signatures in DER have one form.
func fuzz(_ input: [UInt8]) {
  if let certificate = try? Certificate(der: input) {
    require(certificate.der == input, "a certificate is not its input")
    require(certificate.extensions.count <= input.count, "more extensions than bytes")
    _ = try? certificate.isAuthority()
    _ = try? certificate.keyUsage()
    _ = try? certificate.publicKey()
  }
  if let raw = try? ECDSASignature.raw(fromDER: input, coordinateByteCount: 32) {
    require(raw.count == 64, "a signature of another width")
    require(ECDSASignature.der(fromRaw: raw) == input, "a signature has two forms")
  }
}
