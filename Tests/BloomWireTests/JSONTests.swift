import BloomBase
import BloomWire
import Testing

@Suite struct JSONTests {
  @Test(arguments: [
    (#"null"#, #"null"#), (#" [ 1 , 2.50 , -0 , 1e5 ] "#, #"[1,2.50,-0,1e5]"#),
    (#"{"b":1,"a":{"x":[]},"c":""}"#, #"{"b":1,"a":{"x":[]},"c":""}"#),
    (#""\u00e9\n\ud83d\ude00\/""#, "\"é\\n😀/\""),
    (#"12345678901234567890123"#, #"12345678901234567890123"#),
    (#"["\u0000\u001f\u007f"]"#, "[\"\\u0000\\u001f\u{7f}\"]"),
    (#"[true,false,{}]"#, #"[true,false,{}]"#),
  ])
  func `valid text is read, kept in order and written back`(text: String, expected: String) throws {
    let value = try JSONValue(decoding: Array(text.utf8))
    #expect(String(decoding: value.encoded, as: UTF8.self) == expected)
    var scanner = try JSONScanner(Array(text.utf8))
    try scanner.skip()
    try scanner.finish()
  }

  @Test(arguments: [
    "", " ", "nul", "truee", "[1,]", "[,1]", "[1 2]", "{\"a\":1,}", "{\"a\" 1}", "{a:1}", "{1:1}",
    "01", "-", "1.", ".5", "1e", "1e+", "+1", "0x1", "NaN", "Infinity", "'a'", "\"\\x\"",
    "\"\\u12g4\"",
    "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\\udc00\"", "\"a", "\"a\\", "\"\n\"", "[", "{", "[[]",
    "1 1",
    "{\"a\":1,\"a\":2}", "{\"a\":1,\"\\u0061\":2}", "]", "}", "[}", "{]", "\u{feff}1", "//x\n1",
    "-01",
  ])
  func `invalid text is refused by tree and scanner alike`(text: String) throws {
    #expect(throws: WireError.self) { _ = try JSONValue(decoding: Array(text.utf8)) }
    #expect(throws: WireError.self) {
      var scanner = try JSONScanner(Array(text.utf8))
      try scanner.skip()
      try scanner.finish()
    }
  }

  @Test(
    arguments: [
      [0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xe2, 0x82],
    ] as [[UInt8]])
  func `bytes that are not UTF-8 are refused`(bytes: [UInt8]) {
    for text in [[0x22] + bytes + [0x22], [0x22, 0x5c, 0x6e] + bytes + [0x22]] {
      #expect(throws: WireError.invalidText) { _ = try JSONValue(decoding: text) }
    }
  }

  @Test func `limits hold`() {
    let limits = JSONLimits(byteCount: 32, depth: 2, itemCount: 4)
    #expect(throws: WireError.tooDeep) {
      _ = try JSONValue(decoding: Array("[[[]]]".utf8), limits: limits)
    }
    #expect(throws: WireError.tooManyItems) {
      _ = try JSONValue(decoding: Array("[1,2,3,4,5]".utf8), limits: limits)
    }
    #expect(throws: WireError.tooLarge) {
      _ = try JSONValue(decoding: [UInt8](repeating: 32, count: 33), limits: limits)
    }
    #expect(throws: WireError.tooDeep) {
      _ = try JSONValue(decoding: [UInt8](repeating: 0x5b, count: 100_000))
    }
  }

  @Test func `integers stay exact and fractions are no integers`() throws {
    var scanner = try JSONScanner(
      Array("[9007199254740993, 1.0, 1e3, 99999999999999999999, 1e999]".utf8))
    try scanner.beginArray()
    #expect(try scanner.nextItem())
    #expect(try scanner.integer("n") == 9_007_199_254_740_993)
    for _ in 0..<3 {
      #expect(try scanner.nextItem())
      #expect(try scanner.number().integer == nil)
    }
    #expect(try scanner.nextItem())
    #expect(throws: WireError.outOfRange(field: "n")) { try scanner.double("n") }
  }

  @Test func `a typed walk reads what it names and skips the rest`() throws {
    let text =
      #"{"skip":{"deep":[1,{"a":null}]},"model":"m","n":3,"ok":true,"none":null,"list":["a","b"]}"#
    var scanner = try JSONScanner(Array(text.utf8))
    var model = "", count: Int64 = 0, list: [String] = []
    try scanner.beginObject()
    while let key = try scanner.nextKey() {
      switch key {
      case "model": model = try scanner.string("model")
      case "n": count = try scanner.integer("n", 0...9)
      case "none": #expect(try scanner.null())
      case "ok": #expect(try scanner.bool("ok"))
      case "list":
        try scanner.beginArray()
        while try scanner.nextItem() { list.append(try scanner.string()) }
      default:
        let range = try scanner.skip()
        #expect(scanner.raw(range) == Array(#"{"deep":[1,{"a":null}]}"#.utf8))
      }
    }
    try scanner.finish()
    #expect(model == "m" && count == 3 && list == ["a", "b"])
  }

  @Test func `the writer separates, escapes and nests`() throws {
    var writer = JSONWriter()
    writer.object { writer in
      writer.key("a")
      writer.string("q\"\\\u{1}\t")
      writer.key("b\n" as String)
      writer.array { writer in
        writer.integer(-3)
        writer.number(0.1)
        writer.number(3.0)
        writer.number(.nan)
        writer.bool(true)
        writer.raw(Array("{}".utf8))
      }
    }
    let expected = #"{"a":"q\"\\\u0001\t","b\n":[-3,0.1,3,null,true,{}]}"#
    #expect(String(decoding: writer.bytes, as: UTF8.self) == expected)
    _ = try JSONValue(decoding: writer.bytes)
  }

  @Test func `mutated documents never trap and what decodes encodes to an equal tree`() throws {
    let seed = Array(#"{"a":[1,-2.5e3,"x\u00e9\n",{"b":null}],"c":true,"d":"水"}"#.utf8)
    var generator = SeededGenerator(seed: 8259)
    for _ in 0..<20_000 {
      var bytes = seed
      for _ in 0..<Int.random(in: 1...3, using: &generator) {
        let index = Int.random(in: 0..<bytes.count, using: &generator)
        switch Int.random(in: 0..<3, using: &generator) {
        case 0: bytes[index] = UInt8.random(in: .min ... .max, using: &generator)
        case 1: bytes.remove(at: index)
        default: bytes.insert(bytes[index], at: index)
        }
      }
      guard let value = try? JSONValue(decoding: bytes) else { continue }
      #expect(try JSONValue(decoding: value.encoded) == value)
    }
  }
}
