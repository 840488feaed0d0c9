import BloomBase
import BloomCrypto
import BloomRecords
import BloomSeal
import BloomWire
import Testing

/// What the gateway keeps is enough to verify offline, and says so when it is not.
@Suite struct ReceiptFileTests {
  /// A whole exchange as the gateway keeps it.
  static func exchange() throws -> (file: ReceiptFile, content: ReceiptContent) {
    let machine = try Fixture()
    let sealed = try machine.seal()
    var opener = sealed.opener()
    var content = sealed.content
    var last: Receipt?
    for piece in try machine.answer(sealed) {
      for event in try opener.receive(piece) {
        if case .frame(let frame) = event { content.append(frame) }
        if case .finished(let receipt) = event { last = receipt }
      }
    }
    let receipt = try #require(last)
    let file = try #require(sealed.file(of: receipt, cost: Micros(42)))
    return (file, content)
  }

  @Test func `a kept file comes back and proves the whole exchange`() throws {
    let (file, content) = try Self.exchange()
    let read = try ReceiptFile(decoding: file.encoded)
    #expect(read.encoded == file.encoded)
    #expect(read.cost == Micros(42))
    let report = ReceiptReport(
      receipt: read.receipt, record: read.record, commitKey: read.commitKey,
      request: content.request, frames: try ReceiptContent.frames(content.response))
    #expect(report.holds)
    #expect(report.lines.filter { $0.verdict == .proven }.count == 7)
    let alone = ReceiptReport(
      receipt: read.receipt, record: read.record, commitKey: read.commitKey, request: nil,
      frames: nil)
    #expect(alone.holds && alone.text.contains("open: which request"))
  }

  @Test func `another machine's receipt has no file`() throws {
    let sealed = try Fixture(seed: 2).seal()
    let receipt = try Receipt(unverified: Self.exchange().file.receipt)
    #expect(sealed.file(of: receipt, cost: nil) == nil)
  }

  @Test func `changed files and cut content are refused or refuted`() throws {
    let (file, content) = try Self.exchange()
    let bytes = file.encoded
    for cut in stride(from: 0, to: bytes.count, by: 7) {
      #expect(throws: SealError.self) { _ = try ReceiptFile(decoding: Array(bytes[..<cut])) }
    }
    for index in bytes.indices where index < 600 || index > bytes.count - 60 {
      var changed = bytes
      changed[index] ^= 1
      guard let read = try? ReceiptFile(decoding: changed), read.cost == file.cost else { continue }
      let report = ReceiptReport(
        receipt: read.receipt, record: read.record, commitKey: read.commitKey,
        request: content.request, frames: try ReceiptContent.frames(content.response))
      #expect(!report.holds, "byte \(index)")
    }
    #expect(throws: SealError.self) {
      _ = try ReceiptContent.frames(Array(content.response.dropLast()))
    }
  }
}
