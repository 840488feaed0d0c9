import BloomBase
import BloomClient
import BloomCrypto
import BloomPlatform
import BloomSeal
import Testing

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

@Suite struct ReceiptShelfTests {
  private let folder = "/tmp/darkbloom-shelf-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"

  private func kept(
    _ answer: AnswerID, _ part: Int, content: ReceiptContent? = nil
  ) throws -> SealedPartRunner.KeptReceipt {
    let key = try SecretBytes([UInt8](repeating: 1, count: 32))
    return SealedPartRunner.KeptReceipt(
      answer: answer, part: part,
      file: ReceiptFile(receipt: [1, 2], record: [3], commitKey: key, cost: Micros(5)),
      content: content)
  }

  private func remove() {
    for name in PrivateFile.names(in: folder) { PrivateFile.remove("\(folder)/\(name)") }
    unsafe rmdir(folder)
  }

  @Test func `a receipt is kept with its content only when there is some`() async throws {
    defer { remove() }
    var generator = SeededGenerator(seed: 1)
    let answer = AnswerID(using: &generator)
    let shelf = try ReceiptShelf(folder: folder)
    await shelf.keep(try kept(answer, 0))
    var content = ReceiptContent(request: [7, 8])
    content.response = [9]
    await shelf.keep(try kept(answer, 1, content: content))
    let stem = "\(folder)/\(answer)"
    #expect(ReceiptShelf.stems(in: folder) == ["\(answer)-0", "\(answer)-1"])
    let bytes = try #require(try PrivateFile.read("\(stem)-0.receipt"))
    #expect(try ReceiptFile(decoding: bytes).cost == Micros(5))
    #expect(try PrivateFile.read("\(stem)-0.request") == nil)
    #expect(try PrivateFile.read("\(stem)-1.request") == [7, 8])
    #expect(try PrivateFile.read("\(stem)-1.response") == [9])
    var status = stat()
    #expect(unsafe stat("\(stem)-1.request", &status) == 0 && status.st_mode & 0o777 == 0o600)
  }

  @Test func `the oldest parts make room, with their content and after a restart`() async throws {
    defer { remove() }
    var generator = SeededGenerator(seed: 2)
    let answers = (0..<5).map { _ in AnswerID(using: &generator) }
    for answer in answers.prefix(2) {
      let shelf = try ReceiptShelf(folder: folder, limit: 3)
      await shelf.keep(try kept(answer, 0, content: ReceiptContent(request: [1])))
    }
    let shelf = try ReceiptShelf(folder: folder, limit: 3)
    for answer in answers.dropFirst(2) { await shelf.keep(try kept(answer, 0)) }
    let left = ReceiptShelf.stems(in: folder)
    #expect(left.count == 3)
    #expect(Set(left).isSuperset(of: answers.suffix(3).map { "\($0)-0" }))
    #expect(PrivateFile.names(in: folder).allSatisfy { $0.hasSuffix(".receipt") })
  }

  @Test func `of more receipts than may wait for the disk the oldest are dropped, with a word`()
    async throws
  {
    defer { remove() }
    var generator = SeededGenerator(seed: 3)
    let answers = (0..<ReceiptShelf.queueLimit + 2).map { _ in AnswerID(using: &generator) }
    let entries = RecentLog()
    let shelf = try ReceiptShelf(folder: folder, log: Log("receipts", sink: entries))
    for answer in answers { shelf.enqueue(try kept(answer, 0)) }
    await shelf.drain()
    #expect(
      Set(ReceiptShelf.stems(in: folder))
        == Set(answers.suffix(ReceiptShelf.queueLimit).map { "\($0)-0" }))
    #expect(entries.recent.count == 2)
  }

  @Test func `a folder that cannot be written loses the receipt and not the answer`() throws {
    #expect(throws: (any Error).self) { try ReceiptShelf(folder: "/proc/none/receipts") }
  }
}
