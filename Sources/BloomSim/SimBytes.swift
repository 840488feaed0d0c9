internal import BloomBase

/// The bytes that stand for sealed content: the same on every run, so that every token can be checked.
enum SimBytes {
  /// A request's body, in place of the canonical request inside the seal.
  struct Request: Equatable {
    var seed: UInt64
    var promptTokens: Int
    /// Tokens already delivered by earlier parts.
    var delivered: Int
    var answer: AnswerID
    var part: Int

    var bytes: [UInt8] {
      SimBytes.words([seed, UInt64(promptTokens), UInt64(delivered), UInt64(part)]) + answer.bytes
    }

    init(seed: UInt64, promptTokens: Int, delivered: Int, answer: AnswerID, part: Int) {
      self.seed = seed
      self.promptTokens = promptTokens
      self.delivered = delivered
      self.answer = answer
      self.part = part
    }

    init?(_ bytes: [UInt8]) {
      guard bytes.count == 48, let answer = AnswerID(bytes[32...]) else { return nil }
      let words = (0..<4).map { SimBytes.word(bytes, $0) }
      self.init(
        seed: words[0], promptTokens: Int(words[1]), delivered: Int(words[2]), answer: answer,
        part: Int(words[3]))
    }

    /// How many tokens the complete answer has, 20…250.
    var answerTokens: Int { 20 + Int(mixed(seed, 0) % 231) }
  }

  /// A receipt's facts, in place of the signed COSE message.
  struct Receipt: Equatable {
    enum End: UInt64 {
      case running = 0
      case stopped = 1
      case complete = 2
    }

    var node: Int
    var answer: AnswerID
    var part: Int
    var promptTokens: Int
    var replayed: Int
    var completion: Int
    var end: End
    var serial: UInt64

    var bytes: [UInt8] {
      SimBytes.words([
        UInt64(node), UInt64(part), UInt64(promptTokens), UInt64(replayed), UInt64(completion),
        end.rawValue, serial,
      ]) + answer.bytes
    }

    init(
      node: Int, answer: AnswerID, part: Int, promptTokens: Int, replayed: Int, completion: Int,
      end: End, serial: UInt64
    ) {
      self.node = node
      self.answer = answer
      self.part = part
      self.promptTokens = promptTokens
      self.replayed = replayed
      self.completion = completion
      self.end = end
      self.serial = serial
    }

    init?(_ bytes: [UInt8]) {
      guard bytes.count == 72, let answer = AnswerID(bytes[56...]) else { return nil }
      let words = (0..<7).map { SimBytes.word(bytes, $0) }
      guard words[0] < 1 << 20, words[1...4].allSatisfy({ $0 < 1 << 24 }),
        let end = End(rawValue: words[5])
      else { return nil }
      self.init(
        node: Int(words[0]), answer: answer, part: Int(words[1]), promptTokens: Int(words[2]),
        replayed: Int(words[3]), completion: Int(words[4]), end: end, serial: words[6])
    }

    var digest: Digest { SimBytes.digest(bytes) }
  }

  /// Token number `index` of an answer.
  static func token(_ seed: UInt64, _ index: Int) -> UInt64 {
    mixed(seed, UInt64(index) + 1) >> 16
  }

  static func mixed(_ seed: UInt64, _ value: UInt64) -> UInt64 {
    var generator = SeededGenerator(seed: seed ^ (value &* 0x9e37_79b9_7f4a_7c15))
    return generator.next()
  }

  /// Names bytes; not a cryptographic hash.
  static func digest(_ bytes: [UInt8]) -> Digest {
    var state: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in bytes { state = (state ^ UInt64(byte)) &* 0x100_0000_01b3 }
    return Digest(words((1...4).map { mixed(state, $0) })) ?? .zero
  }

  static func words(_ values: [UInt64]) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(8 * values.count)
    for value in values { append(value, to: &bytes) }
    return bytes
  }

  static func append(_ value: UInt64, to bytes: inout [UInt8]) {
    for shift in stride(from: UInt64(56), through: 0, by: -8) {
      bytes.append(UInt8(truncatingIfNeeded: value >> shift))
    }
  }

  /// The word before a token: its place in the answer, and whether it is the last.
  static func mark(_ index: Int, isLast: Bool) -> UInt64 {
    UInt64(index) | (isLast ? 1 << 63 : 0)
  }

  static func word(_ bytes: [UInt8], _ index: Int) -> UInt64 {
    bytes[8 * index..<8 * index + 8].reduce(0) { $0 << 8 | UInt64($1) }
  }
}
