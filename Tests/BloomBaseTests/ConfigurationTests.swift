import BloomBase
import Testing

@Suite struct ConfigurationTests {
  static let known: Set<String> = ["listen.port", "listen.host", "models", "quiet", "name"]

  @Test func `flags win over the environment and that over the file`() throws {
    let file = "{listen: {port: 1, host: 'a'}, quiet: true, models: ['x', 'y',],}"
    func port(_ flags: [String: String], _ environment: [String: String]) throws -> Int? {
      try Configuration(known: Self.known, flags: flags, environment: environment, file: file)
        .integer("listen.port", in: 1...9)
    }
    #expect(try port([:], [:]) == 1)
    #expect(try port([:], ["DARKBLOOM_LISTEN_PORT": "2"]) == 2)
    #expect(try port(["listen.port": "3"], ["DARKBLOOM_LISTEN_PORT": "2"]) == 3)
    let all = try Configuration(known: Self.known, file: file)
    #expect(try all.string("listen.host") == "a" && all.boolean("quiet") == true)
    #expect(try all.strings("models") == ["x", "y"] && all.string("name") == nil)
  }

  @Test func `unknown settings name the nearest known one and the line`() {
    let cases: [(file: String, error: String)] = [
      ("{\n  quite: true }", "node.json5, line 2: there is no setting quite, did you mean quiet?"),
      (
        "{ listen: {\n\n prot: 1 } }",
        "node.json5, line 3: there is no setting listen.prot, did you mean listen.port?"
      ),
      ("{ zzzzzz: 1 }", "node.json5, line 1: there is no setting zzzzzz"),
      ("{ name: 'a', name: 'b' }", "node.json5, line 1: name is there twice"),
      ("[]", "node.json5, line 1: the document must be an object"),
      ("{ name: 'a' \n quiet: 1 }", "node.json5, line 2: a comma or } is missing"),
    ]
    for (file, error) in cases {
      #expect(throws: ConfigurationError(error)) {
        try Configuration(known: Self.known, file: file, fileName: "node.json5")
      }
    }
    #expect(throws: ConfigurationError("flags: there is no setting nam, did you mean name?")) {
      try Configuration(known: Self.known, flags: ["nam": ""])
    }
  }

  @Test func `a variable of a group that is no setting's is refused`() throws {
    let error = ConfigurationError(
      "DARKBLOOM_LISTEN_PROT: there is no such setting, did you mean DARKBLOOM_LISTEN_PORT?")
    #expect(throws: error) {
      try Configuration(known: Self.known, environment: ["DARKBLOOM_LISTEN_PROT": "1"])
    }
    #expect(throws: ConfigurationError("DARKBLOOM_LISTEN_ZZZZ: there is no such setting")) {
      try Configuration(known: Self.known, environment: ["DARKBLOOM_LISTEN_ZZZZ": "1"])
    }
    // Others may mean other programs of the house.
    let others = ["DARKBLOOM_LISTEN": "1", "DARKBLOOM_OTHER": "1", "LISTEN_PROT": "1"]
    #expect(try Configuration(known: Self.known, environment: others).string("name") == nil)
  }

  @Test func `wrong values say where they are and what is wanted`() throws {
    let settings = try Configuration(
      known: Self.known, flags: ["quiet": "maybe"], environment: ["DARKBLOOM_NAME": "x"],
      file: "{\nlisten: {port: 'a'}, models: [1]}")
    #expect(throws: ConfigurationError("line 2: listen.port must be a whole number")) {
      try settings.integer("listen.port")
    }
    #expect(throws: ConfigurationError("line 2: models must be a list of texts")) {
      try settings.strings("models")
    }
    #expect(throws: ConfigurationError("--quiet must be true or false")) {
      try settings.boolean("quiet")
    }
    #expect(throws: ConfigurationError("DARKBLOOM_NAME must be a whole number")) {
      try settings.integer("name")
    }
  }

  @Test func `JSON5 is read`() throws {
    func kind(_ text: String) throws -> JSON5.Kind { try JSON5(parsing: text).kind }
    #expect(try kind("// a\n/* b */ -0x1F // c") == .integer(-31))
    #expect(try kind("+1") == .integer(1) && kind(".5") == .number(0.5) && kind("1.") == .number(1))
    #expect(try kind("1e3") == .number(1_000) && kind("-Infinity") == .number(-.infinity))
    #expect(try kind("'a\\\nb'") == .string("ab"))
    #expect(try kind("null") == .null && kind("[]") == .array([]) && kind("{}") == .object([]))
    guard case .object(let members) = try kind("{$a_1: 1, 'b c': true}") else {
      Issue.record("not an object")
      return
    }
    #expect(members.map(\.name) == ["$a_1", "b c"])
  }

  @Test(arguments: [
    ("\\u00e9", "\u{e9}"), ("\\xe9", "\u{e9}"), ("\\uD83D\\uDE00", "\u{1f600}"),
    ("a\\ud83d\\ude00b", "a\u{1f600}b"), ("\\ud800\\udc00", "\u{10000}"),
    ("\\udbff\\udfff", "\u{10ffff}"),
  ])
  func `an escape stands for a scalar, and a pair of halves for one`(
    escape: String, text: String
  ) throws {
    #expect(try JSON5(parsing: "'\(escape)'").kind == .string(text))
  }

  @Test(arguments: [
    ("\\ud83d", "first"), ("\\ud83dx", "first"), ("\\ud83d\\n", "first"),
    ("\\ud83d\\ud83d", "first"), ("\\ud83d\\u0041", "first"), ("\\ude00", "second"),
    ("\\ude00\\ud83d", "second"),
  ])
  func `half of a pair is refused by name`(escape: String, half: String) {
    let refusal = #expect(throws: ConfigurationError.self) {
      try JSON5(parsing: "'\(escape)'")
    }
    #expect(refusal?.publicDescription.contains("the \(half) half of a pair") == true)
  }

  @Test func `text that is not JSON5 is refused`() {
    for bad in [
      "", "{", "[1", "{a}", "{a:}", "{:1}", "[,]", "'a", "'a\nb'", "'\\x4'", "'\\x+4'",
      "'\\u+041'", "'\\ud83d\\u12'", "01", "1.2.3", "0x", "--1", "tru", "1 2", "/* a",
      "{a:1,,b:2}", "9223372036854775808x", String(repeating: "[", count: 100),
    ] {
      #expect(throws: ConfigurationError.self, "\(bad)") { try JSON5(parsing: bad) }
    }
  }
}
