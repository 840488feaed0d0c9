import BloomBase
import BloomClient
import Testing

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Codes for cameras, module by module as another program draws them.
@Suite struct QRCodeTests {
  @Test func `every module is where another encoder puts it`() throws {
    let path = #filePath.split(separator: "/").dropLast(2).map(String.init)
    let file = "/" + (path + ["Vectors", "qr.txt"]).joined(separator: "/")
    let lines = try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n").dropFirst()
    #expect(lines.count == 20)
    for line in lines {
      let words = line.split(separator: " ", maxSplits: 3, omittingEmptySubsequences: false)
      let text = String(words[3])
      try #require(text.count == Int(words[0]))
      let code = try #require(QRCode(text, mask: Int(words[1])))
      let rows = words[2].split(separator: ",").map { UInt64($0, radix: 16) ?? 0 }
      try #require(rows.count == code.size, "\(text)")
      for row in 0..<code.size {
        let bits = (0..<code.size).reduce(UInt64(0)) { $0 << 1 | (code[row, $1] ? 1 : 0) }
        #expect(bits == rows[row], "row \(row) of \(text)")
      }
    }
  }

  @Test func `a machine's link fits, and what does not is no code`() throws {
    let digest = try #require(Digest([UInt8](repeating: 0xff, count: 32)))
    let code = try #require(QRCode(PairingCode.link(of: NodeID(digest))))
    #expect(code.size == 33)
    #expect((0..<8).contains(code.mask))
    let lines = code.terminalText.split(separator: "\n")
    #expect(lines.count == 19)
    #expect(!code[-1, 0] && !code[0, 33])
    for wrong in ["ü", "a#b", String(repeating: "A", count: 155)] {
      #expect(QRCode(wrong) == nil)
    }
    #expect(QRCode(String(repeating: "A", count: 154))?.size == 41)
    #expect(QRCode("") != nil)
  }
}
