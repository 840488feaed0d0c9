/// How fast one node serves one model: medians of its real work, before that a discounted claim.
package struct MeasuredRates: Equatable, Sendable {
  /// Samples after which a claim has no weight any more.
  package static let samplesToTrust = 4
  /// Slowing of each stream by each other one, `s / (1 + k (n − 1))`: the field's median.
  package static let batchSlowing = 0.27
  /// Rates outside are taken as these, from claims and measures alike, so that neither is favoured.
  package static let plausible = 0.1...20_000.0

  /// Prompt tokens a second.
  private var prefill = RollingMedian()
  /// Seconds from acceptance to the first token of a short prompt.
  private var overhead = RollingMedian()
  /// Tokens a second of one stream, among 1, 2, 3–4, 5–8 and 9 or more.
  private var decode = (
    RollingMedian(), RollingMedian(), RollingMedian(), RollingMedian(), RollingMedian()
  )
  private var prefillSeed = 0.0
  private var decodeSeed = 0.0

  /// Knows nothing yet.
  package init() {}

  /// Whether both hold the same samples and claims.
  package static func == (a: Self, b: Self) -> Bool {
    a.prefill == b.prefill && a.overhead == b.overhead && a.decode == b.decode
      && a.prefillSeed == b.prefillSeed && a.decodeSeed == b.decodeSeed
  }

  /// Takes a node's claims, already discounted.
  package mutating func seed(prefill: Double, decode: Double) {
    if prefill > 0 { prefillSeed = clamp(prefill) }
    if decode > 0 { decodeSeed = clamp(decode) }
  }

  /// Adds a measured first token.
  ///
  /// - Parameters:
  ///   - promptTokens: Tokens the node read.
  ///   - seconds: From acceptance to the first token.
  package mutating func addFirstToken(promptTokens: Int, seconds: Double) {
    guard seconds > 0 else { return }
    if promptTokens < 256 {
      overhead.add(seconds)
    } else {
      let reading = max(seconds - min(overheadSeconds, seconds / 2), 1e-6)
      prefill.add(clamp(Double(promptTokens) / reading))
    }
  }

  /// Adds a measured stream.
  ///
  /// - Parameters:
  ///   - tokens: Tokens after the first.
  ///   - seconds: From the first token to the last.
  ///   - streams: How many streams the node ran meanwhile, this one included.
  package mutating func addDecode(tokens: Int, seconds: Double, streams: Int) {
    guard tokens >= 8, seconds > 0 else { return }
    let rate = clamp(Double(tokens) / seconds)
    switch Self.bucket(streams) {
    case 0: decode.0.add(rate)
    case 1: decode.1.add(rate)
    case 2: decode.2.add(rate)
    case 3: decode.3.add(rate)
    default: decode.4.add(rate)
    }
  }

  /// Seconds that a first token takes besides reading the prompt.
  package var overheadSeconds: Double { overhead.count > 0 ? Double(overhead.value) : 0.05 }

  /// Prompt tokens a second.
  package var prefillRate: Double {
    Self.blend(seed: prefillSeed > 0 ? prefillSeed : 100, prefill)
  }

  /// Tokens a second of one stream among `streams`.
  package func decodeRate(streams: Int) -> Double {
    let slowing = 1 + Self.batchSlowing * Double(max(streams, 1) - 1)
    let seed = (decodeSeed > 0 ? decodeSeed : 8) / slowing
    let wanted = Self.bucket(streams)
    if bucket(wanted).count > 0 { return Self.blend(seed: seed, bucket(wanted)) }
    // The nearest measured width, carried over by the general law.
    for distance in 1...4 {
      for other in [wanted - distance, wanted + distance] where (0...4).contains(other) {
        let known = bucket(other)
        guard known.count > 0 else { continue }
        let knownSlowing = 1 + Self.batchSlowing * (Self.width(other) - 1)
        return Self.blend(seed: seed, known, factor: knownSlowing / slowing)
      }
    }
    return seed
  }

  /// How many samples stand behind the decode rates, 0…15.
  package var evidence: Int { (0...4).map { bucket($0).count }.max() ?? 0 }

  private func bucket(_ index: Int) -> RollingMedian {
    switch index {
    case 0: decode.0
    case 1: decode.1
    case 2: decode.2
    case 3: decode.3
    default: decode.4
    }
  }

  private static func bucket(_ streams: Int) -> Int {
    switch streams {
    case ...1: 0
    case 2: 1
    case 3...4: 2
    case 5...8: 3
    default: 4
    }
  }

  private static func width(_ bucket: Int) -> Double {
    switch bucket {
    case 0: 1
    case 1: 2
    case 2: 3.5
    case 3: 6.5
    default: 12
    }
  }

  private static func blend(seed: Double, _ measured: RollingMedian, factor: Double = 1) -> Double {
    let weight = Double(min(measured.count, samplesToTrust)) / Double(samplesToTrust)
    return Double(measured.value) * factor * weight + seed * (1 - weight)
  }

  private func clamp(_ rate: Double) -> Double {
    min(max(rate, Self.plausible.lowerBound), Self.plausible.upperBound)
  }
}
