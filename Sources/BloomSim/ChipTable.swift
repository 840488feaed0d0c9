/// A machine kind of the capacity model.
///
/// `docs/capacity.md` names the sources.
package struct Chip: Equatable, Sendable {
  /// The name people use.
  package let name: String
  /// Memory bandwidth, GB/s.
  package let bandwidth: Double
  /// Prompt tokens a second for a 7-billion model at 4 bits, `pp512`.
  package let prefill7B: Double
  /// Milliseconds a layer and token besides reading the weights.
  package let layerMilliseconds: Double

  /// llama.cpp discussion 4167 (read 2026-09-30), LLaMA-2 7B Q4_0, `pp512`; bandwidths as
  /// published by the maker.
  ///
  /// The layer time is the fit of 79 points there (5.93 ms for 32 layers).
  package static let all: [Chip] = [
    Chip("M1", 68, 118), Chip("M1 Pro", 200, 266), Chip("M1 Max", 400, 530),
    Chip("M2", 100, 180), Chip("M2 Pro", 200, 341), Chip("M2 Max", 400, 671),
    Chip("M3", 100, 187), Chip("M3 Pro", 150, 342), Chip("M3 Max", 400, 760),
    Chip("M4", 120, 221), Chip("M4 Pro", 273, 440), Chip("M4 Max", 546, 886),
    Chip("M2 Ultra", 800, 1238), Chip("M3 Ultra", 819, 1471),
  ]

  /// A laptop with DDR4 and no usable GPU: 42 GB/s at an efficiency of 0.43 (published 120 ms a token
  /// for Phi-3-mini).
  package static let intel = Chip("Intel i7", 18, 30)

  private init(_ name: String, _ bandwidth: Double, _ prefill7B: Double) {
    self.name = name
    self.bandwidth = bandwidth
    self.prefill7B = prefill7B
    layerMilliseconds = 0.185
  }

  /// A chip by its name.
  package static func named(_ name: String) -> Chip? {
    (all + [intel]).first { $0.name == name }
  }

  /// Tokens a second of one lone stream: `1.07 · bytes ÷ bandwidth + layers · c`.
  package func decodeRate(_ model: SmallModel) -> Double {
    let reading = 1.07 * model.gigabytes * 1.06 / bandwidth * 1000
    return 1000 / (reading + layerMilliseconds * model.layers)
  }

  /// Prompt tokens a second.
  package func prefillRate(_ model: SmallModel) -> Double { prefill7B * 7 / model.billions }
}

/// One of the models of the published table, at 4 bits.
package struct SmallModel: Equatable, Sendable {
  /// The name people use.
  package let name: String
  /// Weights read for one token, GB.
  package let gigabytes: Double
  /// Parameters, in billions.
  package let billions: Double
  /// Layers.
  package let layers: Double
  /// Tokens a second that a published article claims for 1,000 nodes.
  package let claim: Double

  /// Sizes and layers of the published weights; claims of the article.
  package static let all: [SmallModel] = [
    SmallModel(
      name: "Phi-3-mini", gigabytes: 2.2, billions: 3.8, layers: 32, claim: 22_000),
    SmallModel(
      name: "Llama 3.2 3B", gigabytes: 1.9, billions: 3.2, layers: 28, claim: 15_500),
    SmallModel(
      name: "Gemma 2 2B", gigabytes: 1.6, billions: 2.6, layers: 26, claim: 28_000),
  ]
}

/// Shares of chips in a network.
package struct ChipMix: Equatable, Sendable {
  /// Names the mix in reports.
  package let name: String
  /// Chips and weights; weights need not sum to one.
  package let shares: [(chip: String, weight: Double)]

  /// The chips with their shares in percent.
  package var text: String {
    let sum = shares.reduce(0) { $0 + $1.weight }
    return shares.map { "\($0.chip) \(Int(($0.weight / sum * 100).rounded())) %" }
      .joined(separator: ", ")
  }

  /// Whether both are the same mix.
  package static func == (a: Self, b: Self) -> Bool { a.name == b.name }

  /// Every node the article's M1.
  package static let allM1 = ChipMix(name: "all M1", shares: [("M1", 1)])
  /// Half M1, half laptops without a GPU.
  package static let halfIntel = ChipMix(
    name: "50 % M1, 50 % Intel", shares: [("M1", 0.5), ("Intel i7", 0.5)])
  /// An assumption, not a census: mostly base chips of four generations, some Pro, few Max and Ultra.
  package static let mixed = ChipMix(
    name: "mixed",
    shares: [
      ("M1", 22), ("M2", 15), ("M3", 11), ("M4", 12), ("M1 Pro", 8), ("M2 Pro", 6), ("M3 Pro", 5),
      ("M4 Pro", 7), ("M1 Max", 3), ("M2 Max", 3), ("M3 Max", 3), ("M4 Max", 3), ("M2 Ultra", 1),
      ("M3 Ultra", 1),
    ])
}
