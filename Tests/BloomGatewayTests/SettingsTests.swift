import BloomBase
import BloomGateway
import BloomNet
import Testing

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Where a gateway's settings come from, and which are refused.
@Suite struct SettingsTests {
  private func refusal(
    flags: [String: String] = [:], environment: [String: String] = [:], file: String? = nil
  ) -> String? {
    do {
      _ = try GatewaySettings(flags: flags, environment: environment, file: file)
      return nil
    } catch {
      return error.publicDescription
    }
  }

  @Test func `the first place that has a setting wins`() throws {
    let file = """
      // a comment
      {port: 1, candidates: 3, 'keep-alive': 0, timeouts: {idle: 9, answer: 60},
       hosts: ["ai.example.org"], origins: ["https://chat.example.org"],}
      """
    let environment = [
      "DARKBLOOM_GATEWAY_PORT": "2", "DARKBLOOM_GATEWAY_TIMEOUTS_IDLE": "8",
      "DARKBLOOM_PORT": "77", "DARKBLOOM_DATA": "/x",
    ]
    let settings = try GatewaySettings(
      flags: ["port": "3"], environment: environment, file: file)
    #expect(settings.port == 3)
    #expect(settings.timeouts.idle == 8)
    #expect(settings.timeouts.head == 10)
    #expect(settings.candidates == 3)
    #expect(settings.keepAliveSeconds == 0)
    #expect(settings.answerSeconds == 60)
    #expect(settings.hosts == ["ai.example.org"])
    #expect(settings.server.timeouts.idle == .seconds(8))
    #expect(try GatewaySettings(environment: environment, file: file).port == 2)
    #expect(try GatewaySettings(file: file).port == 1)
    #expect(try GatewaySettings(file: "{}") == GatewaySettings())
  }

  @Test func `how answers are kept and go on is set as everything else is`() throws {
    let file = "{exact: true, 'keep-content': true}"
    let none = ["DARKBLOOM_GATEWAY_EXACT": "no", "DARKBLOOM_GATEWAY_KEEP_CONTENT": "0"]
    let plain = GatewaySettings()
    #expect(!plain.continuesExactly && !plain.keepsContent)
    let read = try GatewaySettings(file: file)
    #expect(read.continuesExactly && read.keepsContent)
    let denied = try GatewaySettings(environment: none, file: file)
    #expect(!denied.continuesExactly && !denied.keepsContent)
    let asked = try GatewaySettings(
      flags: ["exact": "true", "keep-content": "true"], environment: none)
    #expect(asked.continuesExactly && asked.keepsContent)
    #expect(
      refusal(environment: ["DARKBLOOM_GATEWAY_EXACT": "x"])
        == "DARKBLOOM_GATEWAY_EXACT must be true or false")
  }

  @Test func `the page lists every setting`() throws {
    let path = #filePath.split(separator: "/").dropLast(3).map(String.init) + ["docs", "api.md"]
    let page = try String(contentsOfFile: "/" + path.joined(separator: "/"), encoding: .utf8)
    let lines = page.split(separator: "\n").drop { $0 != "## Settings" }.dropFirst()
    var names: Set<String> = []
    for line in lines.prefix(while: { !$0.hasPrefix("## ") }) where line.hasPrefix("| `") {
      let cell = line.dropFirst(2).prefix { $0 != "|" }
      let parts = cell.split(separator: "`", omittingEmptySubsequences: false)
      for (index, part) in parts.enumerated() where index % 2 == 1 {
        names.insert(part.hasPrefix(".") ? "timeouts\(part)" : String(part))
      }
    }
    #expect(names == GatewaySettings.names)
  }

  @Test func `a wrong setting is named with its place and the nearest known one`() {
    #expect(
      refusal(file: "{\n prot: 1}")
        == "gateway.json5, line 2: there is no setting prot, did you mean port?")
    #expect(refusal(file: "{timeouts: {idel: 1}}")?.contains("timeouts.idle") == true)
    #expect(
      refusal(environment: ["DARKBLOOM_GATEWAY_PORT": "x"])
        == "DARKBLOOM_GATEWAY_PORT must be a whole number")
    #expect(
      refusal(environment: ["DARKBLOOM_GATEWAY_PROT": "1"])
        == "DARKBLOOM_GATEWAY_PROT: there is no such setting, did you mean DARKBLOOM_GATEWAY_PORT?")
    #expect(refusal(environment: ["DARKBLOOM_GATEWAY_CONFIG": "/x"]) == nil)
    #expect(refusal(file: "{port: 70000}")?.contains("0…65535") == true)
    #expect(refusal(file: "{port: '1'}") == "line 1: port must be a whole number")
    #expect(refusal(file: "{listen: []}") != nil)
    #expect(refusal(file: "{tls: {key: '/k'}}")?.contains("need each other") == true)
    #expect(refusal(file: "[]") != nil)
  }

  @Test(arguments: [
    ("{}", "http://127.0.0.1:8642"),
    ("{listen: ['::1'], port: 1}", "http://[::1]:1"),
    ("{listen: ['0.0.0.0'], tls: {certificate: '/c', key: '/k'}}", "https://127.0.0.1:8642"),
    ("{listen: ['10.0.0.1'], hosts: ['b.example', 'a.example']}", "http://a.example:8642"),
  ])
  func `commands of the device find the gateway where it listens`(
    _ file: String, _ url: String
  ) throws {
    #expect(try GatewaySettings(file: file).localURL == url)
  }

  @Test(arguments: ["*", "https://*", "https://a.example/", "null", "a.example", "https://"])
  func `an origin that is none is refused`(_ origin: String) {
    #expect(refusal(file: "{origins: ['\(origin)']}")?.contains("origins") == true)
  }

  @Test func `a gateway for other machines needs keys, TLS and names`() throws {
    func check(_ file: String, hasKeys: Bool) -> String? {
      do {
        try GatewaySettings(file: file).check(hasKeys: hasKeys)
        return nil
      } catch {
        return error.safeDescription
      }
    }
    #expect(check("{}", hasKeys: false) == nil)
    #expect(check("{listen: ['127.0.0.2', 'localhost']}", hasKeys: false) == nil)
    let open = "{listen: ['0.0.0.0'], hosts: ['a'], tls: {certificate: '/c', key: '/k'}}"
    #expect(check(open, hasKeys: true) == nil)
    #expect(check(open, hasKeys: false)?.contains("keys add") == true)
    #expect(check("{listen: ['::'], hosts: ['a']}", hasKeys: true)?.contains("tls") == true)
    #expect(check("{listen: ['::'], hosts: ['a'], 'plain-http': true}", hasKeys: true) == nil)
    #expect(
      check("{listen: ['::'], 'plain-http': true}", hasKeys: true)?.contains("host names") == true)
  }
}
