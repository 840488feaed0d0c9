import BloomCrypto
import BloomRecords

/// A receipt that reads has one encoding of its claims, and none verifies without the key.
func fuzz(_ input: [UInt8]) {
  guard let receipt = try? Receipt(unverified: input) else { return }
  require(receipt.encoded == input, "a receipt has two encodings")
  guard let key = try? SigningKey.derive(.p256, seed: [1]) else { fatalError("no key") }
  require((try? receipt.verify(key.verifyingKey)) == nil, "a receipt was forged")
  guard let signed = try? Receipt(signing: receipt.claims, signer: key),
    let again = try? Receipt(verifying: signed.encoded, key: key.verifyingKey)
  else { fatalError("claims that were read cannot be signed") }
  require(again.claims == receipt.claims, "claims change when they are signed again")
}
