/// The texts that keep the protocol's hashes, keys and signatures apart.
///
/// Version 1 of DBP: a new version has new labels.
package enum Labels: Sendable {
  /// Hashed before HIK's public key to give a node's identity.
  package static let node = Array("darkbloom/1 node".utf8)
  /// External data of a key statement's signature.
  package static let keyStatement = Array("darkbloom/1 keystmt".utf8)
  /// Content type of a key statement.
  package static let keyStatementType = "application/darkbloom-ks+cbor"
  /// Hashed before the statement to give the value that evidence binds.
  package static let binding = Array("darkbloom/1 bind".utf8)
  /// HPKE info of a request's wrap, before 00, node and key.
  package static let request = Array("darkbloom/1 request".utf8)
  /// HKDF info of the body key.
  package static let bodyKey = Array("darkbloom/1 body key".utf8)
  /// HKDF info of the body nonce.
  package static let bodyNonce = Array("darkbloom/1 body nonce".utf8)
  /// HPKE exporter context of the answer's secret.
  package static let response = Array("darkbloom/1 response".utf8)
  /// HPKE exporter context of the commitment key.
  package static let commit = Array("darkbloom/1 commit".utf8)
  /// Hashed before the response nonce to start a transcript.
  package static let transcript = Array("darkbloom/1 transcript".utf8)
  /// External data of a receipt's signature.
  package static let receipt = Array("darkbloom/1 receipt".utf8)
  /// Content type of a receipt.
  package static let receiptType = "application/darkbloom-receipt+cbor"
  /// HKDF info of an answer's key, as in Oblivious HTTP.
  package static let answerKey = Array("key".utf8)
  /// HKDF info of an answer's nonce, as in Oblivious HTTP.
  package static let answerNonce = Array("nonce".utf8)
  /// Associated data of a final chunk, as in chunked Oblivious HTTP.
  package static let final = Array("final".utf8)
}
