import BloomBase
import BloomWire
import Testing

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// docs/protocol.md names every number that this program sends, so that others can read them.
@Suite struct ProtocolTextTests {
  private let text: String

  init() throws {
    var parts = #filePath.split(separator: "/", omittingEmptySubsequences: false)
    parts.removeLast(3)
    text = try String(
      contentsOfFile: parts.joined(separator: "/") + "/docs/protocol.md", encoding: .utf8)
  }

  @Test func `every reason stands there with its number, status and whether to try again`() {
    var told: [String] = []
    for line in text.split(separator: "\n") {
      let cells = line.split(separator: "|").map { $0.trimmed }
      guard cells.count == 2, let status = Int(cells[0]), status >= 400 else { continue }
      told += cells[1].split(separator: ",").map { "\($0.trimmed) \(status)" }
    }
    let wanted = Reason.allCases.map {
      "\($0.rawValue) \($0.name)\($0.isRetriable ? "" : "!") \($0.httpStatus)"
    }
    #expect(told.sorted() == wanted.sorted())
  }

  @Test func `every outer record, kind, class, profile and finish stands there`() {
    func list(_ names: [(some BinaryInteger, String)]) -> String {
      names.map { "\($0.0) \($0.1)" }.joined(separator: ", ")
    }
    #expect(text.contains("Kinds: \(list(JobKind.allCases.map { ($0.rawValue, $0.name) }))."))
    #expect(
      text.contains(
        "Padding profiles: \(list(PaddingProfile.allCases.map { ($0.rawValue, "\($0)") }))."))
    #expect(text.contains("(0 whole, 1 continued, 2 exact)"))
    for record in [
      "0 accepted", "1 sealed", "2 alive", "3 attempt-failed", "4 settled", "5 queued",
      "6 suspected",
    ] {
      #expect(text.contains(record))
    }
  }

  @Test func `every link message stands there`() {
    for (name, message) in MessageTests.agent.map({ ($0, $1.encoded) })
      + MessageTests.coordinator.map({ ($0, $1.encoded) })
    {
      // The array's head, then the type: a short or a one-byte unsigned integer.
      let type = message[1] == 0x18 ? message[2] : message[1]
      let kind = name == "capacity-closed" ? "capacity" : name
      #expect(text.contains("| \(type) \(kind) |"), "\(type) \(kind)")
    }
  }
}

extension StringProtocol {
  fileprivate var trimmed: String {
    String(drop(while: { $0 == " " }).reversed().drop(while: { $0 == " " }).reversed())
  }
}
