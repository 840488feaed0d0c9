import BloomBase
import BloomClient
import BloomGateway
import Testing

/// What a bug report must not tell, and how machines are named from screen to screen.
@Suite struct RedactionTests {
  private let rule = Redaction(home: "/home/ann", secrets: ["local-Zm9vYmFy", "annabel"])

  @Test(arguments: [
    ("see /home/ann/models/x.gguf", "see ~/models/x.gguf"),
    ("key local-Zm9vYmFy!", "key [secret]!"),
    ("mail ann@example.org now", "mail [e-mail] now"),
    ("from 192.168.1.7:8640 to 127.0.0.1:8642", "from [address] to 127.0.0.1:8642"),
    ("from 2001:db8::7 to ::1 at 12:34:56", "from [address] to ::1 at 12:34:56"),
    ("node \(String(repeating: "ab", count: 32))", "node ababab…"),
    ("org-Zm9vYmFyQmF6UXV4MTIzNDU2Nzg5", "[hidden]"),
    ("gateway_answers_total{end=\"left\"} 3", "gateway_answers_total{end=\"left\"} 3"),
    ("hostname annabel", "hostname [secret]"),
    ("version 0.1.0, 2 cores, 4.5 s", "version 0.1.0, 2 cores, 4.5 s"),
  ])
  func `people, addresses and secrets are taken out, and no more`(
    _ text: String, _ expected: String
  ) {
    #expect(rule.apply(to: text) == expected)
  }

  @Test func `a pairing code names one machine and catches mistakes`() throws {
    for byte in [UInt8(0), 1, 0x5a, 0xff] {
      let node = NodeID(digest(byte))
      let code = PairingCode.text(of: node)
      #expect(code.count == 56 + 13)
      #expect(try PairingCode.node(code) == node)
      #expect(try PairingCode.node(PairingCode.link(of: node)) == node)
      #expect(try PairingCode.node(code.lowercased().replacing("-", with: " ")) == node)
      for place in code.indices where code[place] != "-" {
        var wrong = code
        wrong.replaceSubrange(place...place, with: code[place] == "7" ? "8" : "7")
        #expect(throws: UsageError.self) { try PairingCode.node(wrong) }
      }
    }
    for wrong in ["", "0000", "https://example.org", String(repeating: "0", count: 57), "ü"] {
      #expect(throws: UsageError.self) { try PairingCode.node(wrong) }
    }
  }
}
