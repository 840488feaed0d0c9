import BloomRecords

/// A record that verifies holds what it names, and its statement reads the same by itself.
func fuzz(_ input: [UInt8]) {
  if let record = try? NodeRecord(verifying: input) {
    require(record.encoded == input, "a record has two encodings")
    require(record.evidence.digest == record.statement.evidence, "evidence was not compared")
  }
  _ = try? KeyStatement(verifying: input)
  if let evidence = try? Evidence(decoding: input) {
    require(evidence.encoded == input, "evidence has two encodings")
  }
  requireOneEncoding(input, "routing has two encodings") { try? Routing(decoding: $0).encoded }
}
