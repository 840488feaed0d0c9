import BloomCoordinator
import Testing

@Suite struct LinkQualityTests {
  @Test func `nothing is said before the first pong`() {
    var quality = LinkQuality()
    #expect(quality.roundTrip == nil)
    #expect(quality.loss == 0)
    quality.add(nil)
    #expect(quality.roundTrip == nil)
    #expect(quality.loss == 1)
  }

  @Test func `the slowest pongs in time count, a late one is a loss`() {
    var quality = LinkQuality()
    for number in 1...18 { quality.add(.milliseconds(number)) }
    quality.add(.milliseconds(900))
    quality.add(.milliseconds(1001))
    #expect(quality.roundTrip == .milliseconds(900))
    #expect(quality.loss == 0.05)
    for _ in 0..<19 { quality.add(.milliseconds(5)) }
    #expect(quality.roundTrip == .milliseconds(5))
    quality.add(.milliseconds(5))
    #expect(quality.loss == 0)
  }
}
