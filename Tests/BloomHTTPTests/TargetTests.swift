import BloomHTTP
import Testing

@Suite struct TargetTests {
  @Test func `hosts and ports`() {
    let good = [
      "a", "a.example", "A.Example.", "127.0.0.1:1", "a_b-c:65535", "[::1]", "[::]:80",
      "[2001:db8::1:2]", "[1:2:3:4:5:6:7:8]", "[::ffff:1.2.3.4]", "[1:2:3:4:5:6:1.2.3.4]",
    ]
    for text in good { #expect(Authority(text) != nil, "\(text)") }
    let bad = [
      "", ":80", "a:", "a:0", "a:65536", "a:080808", "a:-1", "a:8a", "a b", "a..b", ".", ".a",
      "a/b", "u@a", "a%41", "a\u{e9}", "[", "[]", "[::1", "::1", "[::1]x", "[::1]:", "[:::]",
      "[1::2::3]", "[1:2:3:4:5:6:7]", "[1:2:3:4:5:6:7:8:9]", "[12345::]", "[g::]", "[1:]", "[:1]",
      "[::1.2.3]", "[::1.2.3.256]", "[::01.2.3.4]", "[::1.2.3.4.5]", "[fe80::1%25eth0]",
      String(repeating: "a", count: 64), String(repeating: "a.", count: 127) + "a",
    ]
    for text in bad { #expect(Authority(text) == nil, "\(text)") }
    #expect(Authority("A.Example:8080")?.host == "a.example")
    #expect(Authority("[::1]:8080")?.hostForResolution == "::1")
    #expect(Authority(host: "a", port: 70_000) == nil && Authority(host: "a:1", port: 2) == nil)
  }

  @Test func `this machine is known by its names alone`() {
    for text in ["localhost", "LOCALHOST:80", "127.0.0.1", "127.1.2.3:9", "[::1]", "[::1]:443"] {
      #expect(Authority(text)?.isLoopback == true, "\(text)")
    }
    for text in [
      "localhost.evil.example", "evil.localhost.example", "127.0.0.1.example", "127.evil.example.a",
      "128.0.0.1", "127.0.0.256", "127.0.0.01", "127.0.0", "[::2]", "[1::1]",
    ] {
      #expect(Authority(text)?.isLoopback == false, "\(text)")
    }
  }

  /// RFC 3986 §5.4, without what has no authority.
  @Test(arguments: [
    ("g", "/b/c/g"), ("./g", "/b/c/g"), ("g/", "/b/c/g/"), ("/g", "/g"), ("?y", "/b/c/d;p?y"),
    ("g?y", "/b/c/g?y"), ("#s", "/b/c/d;p?q"), ("g#s", "/b/c/g"), (";x", "/b/c/;x"),
    ("", "/b/c/d;p?q"), (".", "/b/c/"), ("./", "/b/c/"), ("..", "/b/"), ("../g", "/b/g"),
    ("../..", "/"), ("../../g", "/g"), ("../../../g", "/g"), ("/./g", "/g"), ("/../g", "/g"),
    ("g.", "/b/c/g."), ("..g", "/b/c/..g"), ("./g/.", "/b/c/g/"), ("g/../h", "/b/c/h"),
    ("g?y/../x", "/b/c/g?y/../x"), ("g;x=1/../y", "/b/c/y"),
  ])
  func `references are resolved`(_ reference: String, _ target: String) throws {
    let base = try HTTPURL("https://a:8/b/c/d;p?q")
    let url = try HTTPURL(reference, relativeTo: base)
    #expect(url.description == "https://a:8\(target)")
  }

  @Test func `a reference may name another host or scheme`() throws {
    let base = try HTTPURL("https://a:8/b/c/d;p?q")
    #expect(try HTTPURL("//g", relativeTo: base).description == "https://g/")
    #expect(try HTTPURL("//g/x?y", relativeTo: base).description == "https://g/x?y")
    #expect(try HTTPURL("http://g/x", relativeTo: base).description == "http://g/x")
    #expect(try HTTPURL("g?at=http://x", relativeTo: base).target.text == "/b/c/g?at=http://x")
    for bad in ["ftp://g/", "javascript:1", "g:h", "//", "a b"] {
      #expect(throws: HTTPError(.badURL), "\(bad)") { try HTTPURL(bad, relativeTo: base) }
    }
  }

  @Test func `path and query are cut and decoded`() throws {
    let target = try RequestTarget(origin: "/v1//a%20b/%C3%A9?x=1&y=a+b%26&z&=&&")
    #expect(target.path == "/v1//a%20b/%C3%A9")
    #expect(try target.segments() == ["v1", "a b", "\u{e9}"])
    #expect(
      try target.queryItems() == [
        QueryItem(name: "x", value: "1"), QueryItem(name: "y", value: "a b&"),
        QueryItem(name: "z", value: ""), QueryItem(name: "", value: ""),
      ])
    #expect(try RequestTarget(origin: "/").segments() == [])
    #expect(try RequestTarget(origin: "/?").query == "")
    #expect(try RequestTarget(origin: "/").query == nil)
  }

  @Test func `paths that hide something are refused`() throws {
    for path in [
      "/a/../b", "/./a", "/%2e%2e/a", "/%2E", "/a%2fb", "/a%5cb", "/a%00", "/%0a", "/%", "/%1",
      "/%zz", "/%ff",
    ] {
      #expect(throws: HTTPError(.badTarget), "\(path)") {
        try RequestTarget(origin: path).segments()
      }
    }
    #expect(throws: HTTPError(.badTarget)) { try RequestTarget(origin: "/?a=%4").queryItems() }
  }

  @Test func `percent-encoding survives`() {
    let text = "a b/\u{e9}?&=%+~\u{1f600}"
    #expect(PercentCoding.decode(PercentCoding.encode(text)) == text)
    #expect(PercentCoding.decode("a+b", plusIsSpace: true) == "a b")
    #expect(PercentCoding.decode("a+b") == "a+b")
  }

  @Test func `URLs`() throws {
    let url = try HTTPURL("HTTPS://Models.Example:8443/a/b?c=d#e")
    #expect(url.scheme == .https && url.port == 8443 && url.authority.host == "models.example")
    #expect(url.target.text == "/a/b?c=d")
    #expect(try HTTPURL("ws://[::1]").description == "ws://[::1]/")
    #expect(try HTTPURL("http://a?x").target.text == "/?x")
    #expect(try HTTPURL("wss://a").port == 443 && HTTPURL("http://a").port == 80)
    for bad in ["", "a", "http:/a", "http://", "ftp://a/", "http://u:p@a/", "http://a b/", "://a"] {
      #expect(throws: HTTPError(.badURL), "\(bad)") { try HTTPURL(bad) }
    }
  }
}
