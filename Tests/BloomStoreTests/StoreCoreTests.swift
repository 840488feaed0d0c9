import BloomBase
import BloomLedger
import Testing

@testable import BloomStore

@Suite struct StoreCoreTests {
  @Test func `what became of a change is forgotten when many came after it and nobody asked`()
    throws
  {
    var core = StoreCore(StoreSnapshot(), limit: 2)
    let account = try #require(AccountID("user"))
    var numbers: [UInt64] = []
    for round in 0..<3 {
      let ticket = try core.submit(.grant(key: "\(round)", account, Micros(1)), UnixTime(0))
      numbers.append(ticket.number)
      let items = core.beginRecovery()
      core.reset(to: StoreSnapshot())
      for item in items { _ = core.retry(item) }
      _ = core.endRecovery()
    }
    let oldest = try core.result(of: numbers[0])
    let newer = try core.result(of: numbers[1])
    let newest = try core.result(of: numbers[2])
    #expect(oldest == nil)
    #expect(newer != nil && newest != nil)
  }
}
