import BloomBase
import BloomCrypto
import BloomModels
import BloomPlatform
import BloomTestSupport
import Testing

@testable import BloomCoordinator

@Suite struct ManifestCatalogTests {
  private func manifest(_ name: String, _ number: UInt8 = 0) throws -> [UInt8] {
    ModelManifest(
      name: name, kind: .chat,
      files: [
        .init(
          role: .weights, name: "w.gguf",
          sha256: try #require(Digest([UInt8](repeating: number, count: 32))), byteCount: 10)
      ], licence: "", contextTokens: 16, weightBytes: 10, contextBytesPerToken: 1
    ).encoded
  }

  private func id(_ bytes: [UInt8]) -> ModelID { ModelID(SHA256.digest(bytes)) }

  @Test func `what a stranger calls its model is told to nobody until the operator listed it`()
    throws
  {
    let folder = try TemporaryFolder()
    let catalog = ManifestCatalog(folder: try PrivateFolder(making: folder.path))
    let fake = try manifest("gpt-5")
    #expect(catalog.offer(fake, from: SessionID(rawValue: 1)))
    #expect(catalog.manifest(id(fake)) == nil && catalog.name(of: id(fake)) == nil)
    #expect(catalog.models(named: "gpt-5").isEmpty && !catalog.serves(id(fake)))
    #expect(
      catalog.entries() == [
        .init(model: id(fake), name: "gpt-5", isListed: false, isServed: false, machines: 1)
      ])

    #expect(catalog.weightBytes(of: id(fake)) == 0, "a score would follow what it says")

    try catalog.list(id(fake))
    #expect(catalog.weightBytes(of: id(fake)) == 10)
    #expect(catalog.manifest(id(fake)) == fake && catalog.models(named: "gpt-5") == [id(fake)])
    let again = ManifestCatalog(folder: try PrivateFolder(making: folder.path))
    #expect(again.manifest(id(fake)) == fake, "kept over a restart")
    try again.unlist(id(fake))
    #expect(again.manifest(id(fake)) == nil && again.weightBytes(of: id(fake)) == 0)
    #expect(throws: AccountError.self) { try again.unlist(id(fake)) }
    #expect(throws: AccountError.self) { try again.list(id(fake)) }
    #expect(throws: AccountError.self) { try again.list([1, 2, 3]) }
  }

  @Test func `among one's own machines every model is served while one has it`() throws {
    let catalog = ManifestCatalog(serving: .any)
    let bytes = try manifest("own:q8")
    let machines = [SessionID(rawValue: 1), SessionID(rawValue: 2)]
    for machine in machines { #expect(catalog.offer(bytes, from: machine)) }
    #expect(catalog.manifest(id(bytes)) == bytes && catalog.name(of: id(bytes)) == "own:q8")
    #expect(catalog.models(named: "own:q8") == [id(bytes)])
    catalog.withdraw(machines[0])
    #expect(catalog.serves(id(bytes)) && catalog.weightBytes(of: id(bytes)) == 10)
    catalog.withdraw(machines[1])
    #expect(!catalog.serves(id(bytes)) && catalog.entries().isEmpty)
  }

  @Test func `a machine offers so many, and nothing that is no name`() throws {
    let catalog = ManifestCatalog()
    for name in ["a b", "a\u{1b}[2J", "a\n", ""] {
      #expect(!catalog.offer(try manifest(name), from: SessionID(rawValue: 1)), "\(name.utf8)")
    }
    #expect(!catalog.offer([0xff], from: SessionID(rawValue: 1)))
    for number in 0..<70 {
      let isTaken = catalog.offer(try manifest("m\(number)"), from: SessionID(rawValue: 1))
      #expect(isTaken == (number < ManifestCatalog.offersPerMachine))
    }
    #expect(catalog.offer(try manifest("other"), from: SessionID(rawValue: 2)))
    #expect(catalog.entries().count == ManifestCatalog.offersPerMachine + 1)
  }
}
