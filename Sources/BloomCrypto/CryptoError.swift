internal import BloomBase

/// What went wrong in this module; never says which secret, prompt or key was involved.
package struct CryptoError: PublicError, Equatable, CustomStringConvertible {
  /// The kinds of failure a caller may act on.
  package enum Code: Hashable, Sendable {
    /// A ciphertext, its nonce or its associated data is not what was sealed.
    case authenticationFailed
    /// A key has the wrong length, is off its curve, or is a value the algorithm forbids.
    case invalidKey
    /// A signature does not verify, or has a form the standard forbids.
    case invalidSignature
    /// An input has a length the algorithm does not take.
    case wrongLength
    /// A structure (DER, PEM, COSE, checkpoint, proof) is not in its one permitted form.
    case malformed
    /// A well-formed structure breaks a rule: expired, wrong issuer, unknown critical extension.
    case refused
    /// A counter reached its end; the key must be replaced.
    case exhausted
    /// The algorithm or suite is not one we take.
    case unsupported
    /// The hardware or library behind a key failed.
    case backend
  }

  /// What a caller may switch on.
  package let code: Code
  /// Which input or rule, in a few fixed words; no content.
  package let context: String

  /// Creates an error; `context` must be fixed text or a name, never data.
  package init(_ code: Code, _ context: String) {
    self.code = code
    self.context = context
  }

  /// The code alone.
  package var description: String { "\(code)" }

  /// One sentence: what is wrong with which input.
  package var publicDescription: String {
    switch code {
    case .authenticationFailed: "\(context) was changed or sealed under another key"
    case .invalidKey: "\(context) is not a valid key; get it again from its owner"
    case .invalidSignature: "the signature of \(context) is not valid"
    case .wrongLength: "\(context) has the wrong length"
    case .malformed: "\(context) is malformed"
    case .refused: "refused: \(context)"
    case .exhausted: "\(context) is used up; set up a new one"
    case .unsupported: "\(context) is not supported"
    case .backend: "the cryptographic library failed in \(context)"
    }
  }
}
