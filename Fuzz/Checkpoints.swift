import BloomCrypto

/// No input without the key's signature verifies, and none crashes the parser.
func fuzz(_ input: [UInt8]) {
  guard let key = try? SigningKey.derive(.ed25519, seed: [1]),
    let verifier = Checkpoint.Verifier(name: "log", key: key.verifyingKey)
  else { fatalError("no key") }
  let checkpoint = try? Checkpoint(verifying: input, origin: "origin", verifiers: [verifier])
  require(checkpoint == nil, "a checkpoint was forged")
}
