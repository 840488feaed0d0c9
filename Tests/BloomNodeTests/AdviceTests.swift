import BloomBase
import BloomModels
import Testing

@testable import BloomNode

@Suite struct ModelAdviceTests {
  static func model(_ name: String, _ mebibytes: UInt64) -> ModelManifest {
    ModelManifest(
      name: name, kind: .chat,
      files: [.init(role: .weights, name: "w", sha256: .zero, byteCount: 1)], licence: "",
      contextTokens: 1_024, weightBytes: mebibytes << 20, contextBytesPerToken: 1_024)
  }

  @Test func `each model that fits takes its room, and the others say why`() {
    let advice = ModelAdvice.advise(
      [Self.model("a", 600), Self.model("b", 2_000), Self.model("c", 500), Self.model("d", 300)],
      budgetBytes: 1_000 << 20)
    #expect(advice.map(\.neededBytes) == [601, 2_001, 501, 301].map { $0 << 20 })
    #expect(
      advice.map(\.verdict) == [
        .fits(freeBytes: 399 << 20), .tooLarge(missingBytes: 1_001 << 20),
        .noRoomBeside(missingBytes: 102 << 20), .fits(freeBytes: 98 << 20),
      ])
    #expect(advice.map { $0.reason == nil } == [true, false, false, true])
  }
}

@Suite struct ServiceFileTests {
  @Test func `paths with special characters stay one word`() throws {
    let unit = try #require(
      ServiceFile.systemdUnit(program: "/opt/dark bloom/x", arguments: ["--a=100%", "\"q\" $H"]))
    #expect(
      unit.contains(#"ExecStart="/opt/dark bloom/x" "--a=100%%" "\"q\" $$H""#))
    let agent = try #require(
      ServiceFile.launchAgent(program: "/Applications/D & B/x", arguments: ["<y>"]))
    #expect(agent.contains("<string>/Applications/D &amp; B/x</string>"))
    #expect(agent.contains("<string>&lt;y&gt;</string>"))
  }

  @Test func `a line end cannot smuggle a directive in`() {
    #expect(ServiceFile.systemdUnit(program: "/x", arguments: ["a\nUser=root"]) == nil)
    #expect(ServiceFile.launchAgent(program: "/x\n", arguments: []) == nil)
  }
}
