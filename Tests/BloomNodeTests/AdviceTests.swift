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
      [Self.model("a", 640), Self.model("b", 2_000), Self.model("c", 480), Self.model("d", 160)],
      budgetBytes: 1_000 << 20)
    // Weights, one context of 1 MiB, and for computing 64 MiB and a sixteenth of the weights.
    #expect(advice.map(\.neededBytes) == [745, 2_190, 575, 235].map { $0 << 20 })
    #expect(
      advice.map(\.verdict) == [
        .fits(freeBytes: 255 << 20), .tooLarge(missingBytes: 1_190 << 20),
        .noRoomBeside(missingBytes: 320 << 20), .fits(freeBytes: 20 << 20),
      ])
    #expect(advice.map { $0.reason == nil } == [true, false, false, true])
  }

  @Test func `a small share of the memory means fewer requests at once`() {
    let model = Self.model("a", 640)
    let slots = (744...749).map { ModelAdvice.slots(of: model, within: $0 << 20) }
    #expect(slots == [1, 1, 2, 3, nil, nil])
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
