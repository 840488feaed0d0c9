import BloomBase
import BloomClient
import BloomCrypto
import BloomHTTP
import BloomNet
import BloomPlatform
import BloomWire
import Testing

/// The example of docs/library.md compiles, works, and is the one that is printed there.
@Suite struct LibraryExampleTests {
  @Test func `the example of the documentation answers`() async throws {
    let machine = try TestMachine(seed: 1, model: FakeCoordinator.model)
    let coordinator = try FakeCoordinator(machines: [machine]) { envelope, _ in
      let (sealed, receipt) = try machine.answer(envelope, tokens: [1, 2])
      var bytes: [UInt8] = []
      OuterRecord.accepted(node: machine.node).append(attempt: 1, to: &bytes)
      OuterRecord.sealed(sealed).append(attempt: 1, to: &bytes)
      OuterRecord.settled(receipt: try #require(receipt), cost: Micros(5))
        .append(attempt: 1, to: &bytes)
      return .bytes(bytes, type: "application/darkbloom-res")
    }
    let (text, facts) = try await coordinator.serve { http in
      try await ask(
        "hi", model: "test",
        of: CoordinatorClient(base: "http://coordinator", apiKey: "k", http: http),
        origin: "test", logKey: coordinator.logKey.verifyingKey.bytes)
    }
    #expect(text == "t1 t2 ")
    #expect(facts.node == machine.node)
    #expect(facts.cost == Micros(5))
    #expect(facts.receipt != nil)
  }

  @Test func `the documentation prints the code of this test`() throws {
    let folder = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast()
    let root = folder.dropLast(2).joined(separator: "/")
    let code = try #require(
      SmallFile.read("\(folder.joined(separator: "/"))/LibraryExample.swift", limitBytes: 65_536))
    let page = try #require(SmallFile.read("\(root)/docs/library.md", limitBytes: 65_536))
    #expect(page.contains("```swift\n\(code)```"))
  }
}
