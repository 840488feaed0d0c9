internal import BloomBase

/// The Trusted Compute Score of a node with all its parts.
///
/// The formula is published in `docs/score.md`.
///
/// `total = 1000 · A · R · (0.45 C + 0.35 U + 0.20 N)`, each part 0…1. It is a gate, breaks ties and
/// sets the price tier; live cost alone decides where work goes.
package struct TrustScore: Equatable, Sendable {
  /// A: 1 with hardware evidence, 0.95 measured, 0.8 paired, 0.5 software, 0 without valid evidence.
  package var attestation: Double
  /// R: the lower bound of kept work with forgetting.
  package var reliability: Double
  /// C: measured bandwidth equivalent and memory.
  package var capability: Double
  /// U: the share of promised time that the node was there.
  package var availability: Double
  /// N: round trip and loss.
  package var network: Double

  /// Computes the parts.
  ///
  /// - Parameters:
  ///   - tier: The strength of the evidence.
  ///   - isAttested: Whether the evidence is valid now.
  ///   - reliability: The lower bound, 0…1.
  ///   - bandwidth: Bytes a second that the measured decode rate stands for.
  ///   - memoryBytes: The machine's memory.
  ///   - availability: Kept share of the promised time, 0…1.
  ///   - roundTrip: 95th percentile.
  ///   - loss: 0…1.
  package init(
    tier: Tier, isAttested: Bool, reliability: Double, bandwidth: Double, memoryBytes: Int,
    availability: Double, roundTrip: Duration, loss: Double
  ) {
    attestation =
      if isAttested {
        switch tier {
        case .hardware: 1
        case .measured: 0.95
        case .paired: 0.8
        case .software: 0.5
        }
      } else {
        0
      }
    self.reliability = Self.unit(reliability)
    let speed = Logarithm.log2(1 + max(bandwidth, 0) / 68e9) / Logarithm.log2(1 + 1200.0 / 68)
    let gibibytes = Double(memoryBytes) / 1_073_741_824
    let memory = gibibytes > 8 ? Logarithm.log2(gibibytes / 8) / 6 : 0
    capability = 0.7 * Self.unit(speed) + 0.3 * Self.unit(memory)
    self.availability = Self.unit(availability)
    let milliseconds = Double(roundTrip.wholeNanoseconds) / 1e6
    let delivered = 1 - Self.unit(loss)
    network =
      Logarithm.exp(-max(milliseconds, 0) / 400) * delivered * delivered * delivered * delivered
  }

  /// The score, 0…1000.
  package var total: Double {
    1000 * attestation * reliability * (0.45 * capability + 0.35 * availability + 0.20 * network)
  }

  /// The price tier, 0…3: how many thirds of the way above the list price its owner may ask.
  package var priceTier: Int {
    switch total {
    case ..<250: 0
    case ..<500: 1
    case ..<700: 2
    default: 3
    }
  }

  /// The highest price of its own that the node's owner may set now.
  ///
  /// - Parameter bound: The policy's bound on own prices, thousandths of the list price.
  /// - Returns: Thousandths of the list price, 1000…`bound`.
  package func highestPrice(within bound: Int) -> Int {
    1000 + max(0, bound - 1000) * priceTier / 3
  }

  private static func unit(_ value: Double) -> Double {
    value.isFinite ? min(max(value, 0), 1) : 0
  }
}
