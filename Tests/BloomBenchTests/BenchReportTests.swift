import BloomBench
import BloomPlatform
import BloomTestSupport
import BloomWire
import Testing

@Suite(.timeLimit(.minutes(1))) struct BenchReportTests {
  @Test func `a row whose peer did not run does not hold`() {
    let alone = BenchRow("get", value: 9, unit: "us", peer: "nginx", target: "<= 10", holds: true)
    #expect(alone.holds == false)
    let untargeted = BenchRow("get", value: 9, unit: "us", peer: "nginx")
    #expect(untargeted.holds == false)
    let beside = BenchRow("get", value: 9, unit: "us", peer: "nginx", ratio: 1, holds: true)
    #expect(beside.holds == true)
    #expect(BenchRow("get", value: 9, unit: "us").holds == nil)
  }

  @Test func `a figure that is not finite is null and does not hold`() throws {
    let folder = try TemporaryFolder("bench-report")
    let rows = [
      BenchRow("one", value: .nan, unit: "us", target: ">= 1", holds: true),
      BenchRow("two", value: 1, unit: "us", peer: "nginx", ratio: .infinity, holds: true),
    ]
    BenchReport.finish(area: "test", rows: rows, folder: folder.path + "/new/bench")
    let bytes = try SmallFile.bytes(folder.path + "/new/bench/test.json", limitBytes: 4_096)
    let items = try JSONValue(decoding: bytes).items
    #expect(items?.count == 2)
    #expect(items?.first?["value"] == JSONValue.null)
    #expect(items?.first?["holds"] == JSONValue.bool(false))
    #expect(items?.last?["ratio"] == JSONValue.null)
    #expect(items?.last?["holds"] == JSONValue.bool(false))
  }

  @Test func `a report that cannot be written ends the program with status 1`() async {
    await #expect(processExitsWith: .exitCode(1)) {
      BenchReport.finish(area: "test", rows: [], folder: "/dev/null/bench")
    }
  }
}
