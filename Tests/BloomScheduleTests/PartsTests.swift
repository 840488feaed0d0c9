import BloomBase
@testable import BloomSchedule
import Testing

@Suite struct PartsTests {
  @Test func `reason codes are different, stable words`() {
    let codes = ReasonCode.allCases.map(\.code)
    #expect(Set(codes).count == codes.count)
    for reason in ReasonCode.allCases {
      #expect(!reason.code.isEmpty && !reason.explanation.isEmpty)
      let isWord = reason.code.utf8.allSatisfy { (0x61...0x7a).contains($0) || $0 == 0x2d }
      #expect(isWord)
    }
    #expect(ReasonCode.priceAboveCap.code == "price-above-cap")
  }

  @Test func `logarithm and power agree with known values`() {
    #expect(Logarithm.log2(8) == 3)
    #expect(abs(Logarithm.log2(10) - 3.321_928_094_887_362) < 1e-12)
    #expect(abs(Logarithm.exp2(0.5) - 1.414_213_562_373_095) < 1e-12)
    #expect(abs(Logarithm.exp(1) - 2.718_281_828_459_045) < 1e-12)
    for exponent in stride(from: -15.5, through: 40, by: 0.37) {
      #expect(abs(Logarithm.log2(Logarithm.exp2(exponent)) - exponent) < 1e-10)
    }
    #expect(Logarithm.log2(-1) == 0)
    #expect(Logarithm.log2(.nan) == 0)
  }

  @Test func `a median ignores outliers and forgets`() {
    var median = RollingMedian()
    for sample in [10.0, 11, 9, 10_000, 0.001] { median.add(sample) }
    #expect(abs(median.value - 10) < 0.05)
    for _ in 0..<8 { median.add(50) }
    #expect(abs(median.value - 50) < 0.1)
    for bad in [0, -1, Double.nan, .infinity] { median.add(bad) }
    #expect(abs(median.value - 50) < 0.1)
  }

  @Test func `rates at an unmeasured width follow the nearest measured one`() {
    var rates = MeasuredRates()
    for _ in 0..<4 { rates.addDecode(tokens: 100, seconds: 1, streams: 1) }
    #expect(abs(rates.decodeRate(streams: 1) - 100) < 0.2)
    #expect(abs(rates.decodeRate(streams: 2) - 100 / 1.27) < 0.2)
    for _ in 0..<4 { rates.addDecode(tokens: 100, seconds: 5, streams: 8) }
    #expect(abs(rates.decodeRate(streams: 8) - 20) < 0.1)
    rates.seed(prefill: 1e12, decode: -4)
    #expect(rates.prefillRate <= 20_000)
  }

  @Test func `reliability follows the published formula and forgets by half in a week`() {
    var reliability = Reliability(tier: .software)
    let start = Instant(nanoseconds: 0)
    for _ in 0..<5 { reliability.add(weight: 1, isKept: true, now: start) }
    #expect(abs(reliability.lowerBound - 0.65) < 0.02)
    let before = reliability.mean
    reliability.add(weight: 50, isKept: false, now: start)
    #expect(reliability.mean < 0.15)
    reliability.add(weight: 0, isKept: true, now: start + .seconds(70 * 7 * 86400))
    #expect(abs(reliability.mean - 0.5) < 0.01)
    #expect(before > 0.8)
  }

  @Test(arguments: [(0.0, 1000), (0.4, 1333), (0.6, 1666), (0.9, 2000)])
  func `each tier lets the owner ask a third more of what the policy allows`(
    reliability: Double, highest: Int
  ) {
    let score = TrustScore(
      tier: .hardware, isAttested: true, reliability: reliability, bandwidth: 1200e9,
      memoryBytes: 512 << 30, availability: 1, roundTrip: .zero, loss: 0)
    #expect(score.highestPrice(within: 2000) == highest)
    #expect(score.highestPrice(within: 1000) == 1000)
  }

  @Test func `the score is the product and sum of its visible parts`() {
    let score = TrustScore(
      tier: .hardware, isAttested: true, reliability: 0.98, bandwidth: 410e9,
      memoryBytes: 64 << 30, availability: 1, roundTrip: .milliseconds(40), loss: 0.001)
    let sum = 0.45 * score.capability + 0.35 * score.availability + 0.20 * score.network
    #expect(score.total == 1000 * score.attestation * score.reliability * sum)
    #expect((700...1000).contains(score.total))
    #expect(score.priceTier == 3)
    #expect(score.highestPrice(within: 2000) == 2000)
    let unproven = TrustScore(
      tier: .hardware, isAttested: false, reliability: 1, bandwidth: 1e12, memoryBytes: 1 << 40,
      availability: 1, roundTrip: .zero, loss: 0)
    #expect(unproven.total == 0)
    let wild = TrustScore(
      tier: .software, isAttested: true, reliability: .nan, bandwidth: .infinity,
      memoryBytes: -1, availability: 9, roundTrip: .seconds(-1), loss: -3)
    #expect((0...1000).contains(wild.total))
  }

  @Test func `a list of at most four keeps its order and refuses a fifth`() {
    var list: UpToFour<Int> = [3, 1, 2]
    #expect(Array(list) == [3, 1, 2])
    let fourth = list.append(9)
    let fifth = list.append(10)
    #expect(fourth && !fifth)
    #expect(UpToFour(0..<5) == nil)
    #expect(UpToFour(0..<4) == [0, 1, 2, 3])
  }
}

@Suite struct DenseIndexTests {
  @Test func `it finds what a dictionary finds, through inserts, removals and collisions`() {
    var index = DenseIndex()
    var known: [UInt64: Set<Int>] = [:]
    var generator = SeededGenerator(seed: 3)
    for step in 0..<20_000 {
      // Few hashes: many numbers share a place or a whole hash.
      let hash = (generator.next() % 97) << 32 | generator.next() % 2 << 61
      if generator.next() % 3 > 0 {
        index.insert(hash, step)
        known[hash >> 32, default: []].insert(step)
      } else if let old = known[hash >> 32]?.min() {
        index.remove(hash, old)
        known[hash >> 32]?.remove(old)
      } else {
        index.remove(hash, step)
      }
      guard step.isMultiple(of: 50) else { continue }
      var found: Set<Int> = []
      var probe = index.probe(hash)
      while let number = index.next(&probe) { found.insert(number) }
      #expect(found == known[hash >> 32] ?? [])
    }
    #expect(index.count == known.values.reduce(0) { $0 + $1.count })
  }
}

@Suite struct WeightedDrawTests {
  @Test func `draws follow the weights and never touch weight zero`() {
    let draw = WeightedDraw(weights: [1, 0, 3, .nan, 6])
    var generator = SeededGenerator(seed: 1)
    var counts = [0, 0, 0, 0, 0]
    for _ in 0..<20_000 {
      if let index = draw.next(using: &generator) { counts[index] += 1 }
    }
    #expect(counts[1] == 0 && counts[3] == 0)
    #expect(abs(counts[0] - 2000) < 200 && abs(counts[2] - 6000) < 300)
    #expect(counts.reduce(0, +) == 20_000)
  }

  @Test func `a draw holds different records, at most as many as there are`() {
    var generator = SeededGenerator(seed: 2)
    let draw = WeightedDraw(weights: [1, 1])
    #expect(Set(draw.draw(4, using: &generator)).count == 2)
    #expect(WeightedDraw(weights: [0, -1]).draw(2, using: &generator).isEmpty)
    #expect(WeightedDraw(weights: []).next(using: &generator) == nil)
  }
}
