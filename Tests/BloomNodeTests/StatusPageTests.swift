import BloomBase
import BloomWire
import Testing

@testable import BloomNode

@Suite struct StatusPageTests {
  static let status = """
    {"node":"0123456789abcdef","level":"away","reason":"owner_active","link":"open",
     "link_bound":false,"models":[{"name":"tiny:1","state":"loaded","loaded_permille":1000,
     "crash_looping":true,"failure":"the worker ended unasked","slots":4,"active":1,
     "decode_tokens_per_second":31.25,"self_test":{"ok":false,"milliseconds":5,
     "failure":"no receipt"}}],
     "today":{"jobs":3,"completion_tokens":70,"worked_seconds":5400,"earned_micros":"1500000",
     "electricity_micros":"250000","wear_micros":"1","net_micros":"1249999"},
     "standing":{"permille":640,"parts":{"attestation":500},"no_work":{"no_demand":12}},
     "last_jobs":[{"model":"tiny:1","prompt_tokens":5,"completion_tokens":8,"seconds":2,
     "self_test":true}],"signals":{"causes":["input","cpu"],"input_idle_seconds":7,"screen_locked":true,
     "on_battery":true,"battery_percent":40,"heat":"fair","memory":"normal",
     "others_cpu_percent":12,"others_gpu_percent":null,"watts":33,"metered":false}}
    """

  @Test func `the page says what holds and why`() throws {
    let text = NodeStatusPage(try JSONValue(decoding: Array(Self.status.utf8))).text
    for part in [
      "serves its owner alone", "why   somebody is at the machine; other programs use",
      "open, not bound to TLS", "last input 7 s ago",
      "screen locked", "on battery, 40 %", "33 W", "1 of 4 slots", "31.3 tokens/s",
      "self-test FAILED: no receipt", "CRASHES", "3 requests, 70 tokens, 1.5 h",
      "earned 1.500000 − electricity 0.250000 − wear 0.000001 = 1.249999", "640 of 1000",
      "no demand ×12", "5 + 8 tokens, 2 s, self-test",
    ] {
      #expect(text.contains(part), "\(part) is missing in:\n\(text)")
    }
    #expect(!text.contains("gpu"))
    let unloaded = Self.status.split(separator: "loaded\"", maxSplits: 1)
      .joined(separator: "stored\"")
    let away = NodeStatusPage(try JSONValue(decoding: Array(unloaded.utf8))).text
    #expect(away.contains("is away, weights unloaded"))
  }

  @Test(arguments: ["{}", "[]", "null", "{\"models\":7,\"today\":[],\"standing\":null}"])
  func `a page is made of anything`(_ json: String) throws {
    let page = NodeStatusPage(try JSONValue(decoding: Array(json.utf8)))
    #expect(page.text.contains("standing"))
  }

  @Test(arguments: [
    (0 as Int64, "0.000000"), (-1, "-0.000001"), (1_234_567, "1.234567"),
    (.min, "-9223372036854.775808"),
  ])
  func `money has six decimals`(_ micros: Int64, _ text: String) {
    #expect(NodeStatusPage.units(micros) == text)
  }
}
