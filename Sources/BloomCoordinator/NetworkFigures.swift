internal import BloomBase
internal import BloomLedger

/// The live state as the hub counts it; nothing of it is public before it is coarsened.
struct FleetCount: Sendable {
  struct Model: Sendable {
    var machines = 0
    var slots = 0
    /// The sum of the machines' measured decode rates, tokens a second.
    var decodeRate = 0.0
    var firstToken: FleetFigures.Range?
    var rate: FleetFigures.Range?
  }

  /// Machines that take work now.
  var machines = 0
  var models: [ModelID: Model] = [:]
}

/// Public figures of the network: coarse enough that no machine can be told from them.
///
/// Pure. A figure of fewer than ``minimumMachines`` machines is not given at all, every other has two
/// digits, and the whole is made once a minute: neither a small fleet nor the difference of two
/// readings shows a single machine.
struct NetworkFigures: Sendable {
  struct Model: Equatable, Sendable {
    var model: ModelID
    /// Whether some machine takes requests now.
    var isAvailable: Bool
    var machines: Int?
    var slots: Int?
    var decodeRate: Int?
    /// Milliseconds.
    var firstToken: Spread?
    /// Tokens a second of one answer, as delivered.
    var rate: Spread?
  }

  struct Spread: Equatable, Sendable {
    var median: Int
    /// The 95th percentile.
    var high: Int
  }

  /// Fewer machines give no figure.
  static let minimumMachines = 5

  let measuredAt: UnixTime
  let machines: Int?
  let models: [Model]

  /// Coarsens a count.
  init(_ count: FleetCount, at time: UnixTime) {
    measuredAt = time
    machines = Self.coarse(count.machines, of: count.machines)
    models = count.models.sorted { $0.key < $1.key }.map { model, count in
      Model(
        model: model, isAvailable: count.machines > 0,
        machines: Self.coarse(count.machines, of: count.machines),
        slots: Self.coarse(count.slots, of: count.machines),
        decodeRate: Self.coarse(Int(count.decodeRate.rounded()), of: count.machines),
        firstToken: count.firstToken.flatMap { Self.coarse($0, scale: 1000) },
        rate: count.rate.flatMap { Self.coarse($0, scale: 1) })
    }
  }

  private static func coarse(_ value: Int, of machines: Int) -> Int? {
    machines >= minimumMachines ? twoDigits(value) : nil
  }

  private static func coarse(_ range: FleetFigures.Range, scale: Double) -> Spread? {
    guard range.machines >= minimumMachines else { return nil }
    return Spread(
      median: twoDigits(Int((range.median * scale).rounded())),
      high: twoDigits(Int((range.high * scale).rounded())))
  }

  /// The nearest number with two digits; counts below ten become five.
  static func twoDigits(_ value: Int) -> Int {
    if value < 10 { return value <= 0 ? 0 : 5 }
    var scale = 1
    while value / scale >= 100 { scale *= 10 }
    return (value + scale / 2) / scale * scale
  }
}
