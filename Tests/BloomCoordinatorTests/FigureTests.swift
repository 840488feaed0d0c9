import BloomBase
import Testing

@testable import BloomCoordinator

@Suite struct FigureTests {
  private let model = ModelID(Digest([UInt8](repeating: 1, count: 32)) ?? .zero)

  private func node(_ number: UInt8) -> NodeID {
    NodeID(Digest([UInt8](repeating: number, count: 32)) ?? .zero)
  }

  private func at(_ seconds: Int) -> Instant {
    Instant(nanoseconds: UInt64(1_000_000 + seconds) * 1_000_000_000)
  }

  @Test func `a small fleet gives no figure`() {
    var count = FleetCount()
    count.machines = 4
    var of = FleetCount.Model()
    of.machines = 4
    of.slots = 16
    of.decodeRate = 100
    of.firstToken = FleetFigures.Range(median: 0.2, high: 0.9, machines: 4)
    count.models[model] = of
    let figures = NetworkFigures(count, at: UnixTime(5))
    #expect(figures.machines == nil)
    #expect(
      figures.models == [NetworkFigures.Model(model: model, isAvailable: true)])
  }

  @Test func `figures have two digits, so that one machine more or less does not show`() {
    func published(_ machines: Int) -> NetworkFigures {
      var count = FleetCount()
      count.machines = machines
      var of = FleetCount.Model()
      of.machines = machines
      of.slots = machines * 4
      of.firstToken = FleetFigures.Range(median: 0.1234, high: 1.987, machines: 9)
      count.models[model] = of
      return NetworkFigures(count, at: UnixTime(5))
    }
    #expect(published(1231).machines == published(1232).machines)
    #expect(published(1231).machines == 1200)
    #expect(published(7).machines == 5)
    #expect(published(1231).models[0].firstToken == .init(median: 120, high: 2000))
  }

  @Test(arguments: [(0, 0), (-3, 0), (1, 5), (9, 5), (10, 10), (99, 99), (104, 100), (105, 110)])
  func `two digits`(value: Int, rounded: Int) {
    #expect(NetworkFigures.twoDigits(value) == rounded)
  }

  @Test func `measurements of few machines, or long ago, are not told`() {
    var figures = FleetFigures()
    for number in 0..<4 {
      figures.firstToken(model, node(UInt8(number)), after: .milliseconds(100), now: at(0))
    }
    #expect(figures.firstToken(model, now: at(1))?.machines == 4)
    #expect(figures.firstToken(model, now: at(3602)) == nil)
    for _ in 0..<5_000 {
      figures.firstToken(model, node(9), after: .milliseconds(300), now: at(2))
    }
    #expect(figures.firstToken(model, now: at(3))?.machines == 1)
  }

  @Test func `a rate is tokens after the first by time`() {
    var figures = FleetFigures()
    figures.answered(model, node(1), tokens: 3, within: .seconds(1), now: at(0))
    #expect(figures.rate(model, now: at(0)) == nil)
    figures.answered(model, node(1), tokens: 101, within: .seconds(2), now: at(0))
    #expect(figures.rate(model, now: at(0))?.median == 50)
  }

  // MARK: Earnings

  private let days = [10, 20, 30].map {
    EarningsEstimate.Day(earned: Micros($0 * 1_000_000), completionTokens: $0 * 1000)
  }

  @Test func `an estimate is the machine's share of demand, from the weakest day to the strongest`()
  {
    var machine = EarningsEstimate.Machine(rate: 50)
    machine.watts = 100
    machine.kilowattHourMicros = 300_000
    let estimate = EarningsEstimate(machine, days: days, fleetRate: 150)
    #expect(estimate.share == 0.25)
    #expect(estimate.gross == 2_500_000...7_500_000)
    // From 50 s of work to the whole day at 100 W.
    #expect(estimate.electricity == 416...720_000)
    let net: ClosedRange<Int64> = (2_500_000 - 720_000)...(7_500_000 - 416)
    #expect(estimate.net == net)
    #expect(estimate.gaps.isEmpty)
  }

  @Test func `half a day earns half`() {
    var machine = EarningsEstimate.Machine(rate: 50)
    machine.hours = 12
    #expect(
      EarningsEstimate(machine, days: days, fleetRate: 150).gross == 1_250_000...3_750_000)
  }

  @Test func `what is not known is unknown, with its reason`() {
    let machine = EarningsEstimate.Machine(rate: 50)
    let small = EarningsEstimate(machine, days: days, fleetRate: nil)
    #expect(small.gross == nil && small.net == nil && small.share == nil)
    #expect(small.gaps == [.fleet, .electricity])
    let young = EarningsEstimate(machine, days: Array(days.prefix(2)), fleetRate: 150)
    #expect(young.gross == nil && young.share == 0.25)
    #expect(young.gaps == [.demand, .electricity])
    #expect(EarningsEstimate(machine, days: days, fleetRate: 150).net == nil)
  }
}
