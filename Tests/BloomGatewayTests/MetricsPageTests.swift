import BloomBase
import BloomGateway
import BloomNet
import Testing

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// What docs/api.md says of a gateway's `/metrics`.
@Suite struct MetricsPageTests {
  @Test func `the page names exactly the metrics that a gateway exports`() async throws {
    let path = #filePath.split(separator: "/").dropLast(3).map(String.init) + ["docs", "api.md"]
    let page = try String(contentsOfFile: "/" + path.joined(separator: "/"), encoding: .utf8)
    let documented = Set(
      page.split(separator: "\n").compactMap { line -> String? in
        guard line.hasPrefix("| `darkbloom_") else { return nil }
        return line.split(separator: "`").dropFirst().first.map(String.init)
      })
    let metrics = MetricsRegistry()
    try await withGateway(ScriptedService(.steps([])), metrics: metrics) { client in
      _ = try await client.get("/metrics")
    }
    let exported = Set(
      metrics.prometheusText.split(separator: "\n").compactMap { line -> String? in
        guard line.hasPrefix("# TYPE ") else { return nil }
        return line.split(separator: " ").dropFirst(2).first.map(String.init)
      })
    #expect(documented.symmetricDifference(exported).sorted() == [])
  }
}
