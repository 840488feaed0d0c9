import BloomWire

/// A request that reads encodes to bytes that read as an equal request, and those are final.
func fuzz(_ input: [UInt8]) {
  guard let request = try? CanonicalRequest(decoding: input) else { return }
  let encoded = request.encoded
  guard let again = try? CanonicalRequest(decoding: encoded) else {
    fatalError("a request that was written does not read")
  }
  require(again == request, "a request changes when it is written")
  require(again.encoded == encoded, "a written request has two encodings")
}
