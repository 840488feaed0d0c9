#if os(Linux)
import BloomPlatform
import Testing

@testable import BloomNode

@Suite(.serialized) struct ProtectionTests {
  static let whole = SandboxSupport(
    filtersSystemCalls: true, landlockVersion: 1, allowsEmptyNetwork: true, allowsGuard: true,
    keyMemory: .secret)

  @Test func `the doctor names what a system cannot give its workers, with the fix`() {
    var system = Self.whole
    #expect(NodeDoctor.protections(system).state == .ok)
    system.keyMemory = .locked
    #expect(NodeDoctor.protections(system).state == .ok)
    system.landlockVersion = 0
    system.allowsEmptyNetwork = false
    system.allowsGuard = false
    let weaker = NodeDoctor.protections(system)
    #expect(weaker.state == .warning)
    #expect(weaker.text == "a worker serves without empty-network, file-system-closed, guarded")
    for part in ["user.max_user_namespaces", "Linux 5.13", "ptrace_scope=1"] {
      #expect(weaker.fix?.contains(part) == true)
    }
    system.filtersSystemCalls = false
    let bare = NodeDoctor.protections(system)
    #expect(bare.state == .fault)
    #expect(
      bare.text
        == "no worker serves without no-files, no-inspection, no-network, no-new-code, no-processes"
    )
    #expect(bare.fix == SandboxFact.noFiles.remedy)
    system = Self.whole
    system.keyMemory = nil
    let unlocked = NodeDoctor.protections(system)
    #expect(unlocked.state == .fault && unlocked.fix?.contains("ulimit -l") == true)
  }

  @Test func `a worker that lacks a demanded protection says so to its owner, with the fix`()
    async throws
  {
    try await withNetwork(lacking: [.noFiles]) { network in
      var page = ""
      try await network.until("refused") { status in
        page = NodeStatusPage(status).text
        return page.contains("a protection is not in force: no-files; ")
      }
      #expect(page.contains(SandboxFact.noFiles.remedy))
      // A worker that starts again has not failed yet: the doctor may look in just that moment.
      var finding: NodeDoctor.Finding?
      for _ in 0..<100 where finding?.text.contains("no-files") != true {
        finding = await NodeDoctor(configuration: network.settings).examine().last
        try await Task.sleep(for: .milliseconds(20))
      }
      #expect(finding?.state == .fault)
      #expect(finding?.fix == SandboxFact.noFiles.remedy)
    }
  }
}
#endif
