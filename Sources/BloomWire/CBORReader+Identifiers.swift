package import BloomBase

extension CBORReader {
  /// Reads 32 bytes as a digest.
  package mutating func digest(_ field: String) throws(WireError) -> Digest {
    guard let digest = Digest(try byteString(field, count: Digest.byteCount)) else {
      throw .outOfRange(field: field)
    }
    return digest
  }

  /// Reads a digest or null.
  package mutating func optionalDigest(_ field: String) throws(WireError) -> Digest? {
    if try null() { return nil }
    return try digest(field)
  }

  /// Reads a node's identity.
  package mutating func nodeID(_ field: String) throws(WireError) -> NodeID {
    NodeID(try digest(field))
  }

  /// Reads a model's identity.
  package mutating func modelID(_ field: String) throws(WireError) -> ModelID {
    ModelID(try digest(field))
  }

  /// Reads a key's name.
  package mutating func keyID(_ field: String) throws(WireError) -> KeyID {
    guard let key = KeyID(try byteString(field, count: KeyID.byteCount)) else {
      throw .outOfRange(field: field)
    }
    return key
  }

  /// Reads an answer's identity.
  package mutating func answerID(_ field: String) throws(WireError) -> AnswerID {
    guard let answer = AnswerID(try byteString(field, count: AnswerID.byteCount)) else {
      throw .outOfRange(field: field)
    }
    return answer
  }

  /// Reads a reason; one that is not in the list is out of range.
  package mutating func reason(_ field: String) throws(WireError) -> Reason {
    try choice(field)
  }

  /// Reads a case of a closed enum by its number.
  package mutating func choice<Choice: RawRepresentable<UInt8>>(
    _ field: String
  ) throws(WireError) -> Choice {
    guard let choice = Choice(rawValue: UInt8(try unsigned(field, maximum: 255))) else {
      throw .outOfRange(field: field)
    }
    return choice
  }

  /// Reads a time in whole seconds since 1970.
  package mutating func time(_ field: String) throws(WireError) -> UnixTime {
    UnixTime(Int64(try unsigned(field, maximum: Limits.unixSeconds)))
  }
}

extension CBOREncoder {
  /// Writes a digest, or null.
  package mutating func digest(_ value: Digest?) {
    if let value { byteString(value.bytes) } else { null() }
  }
}
