import BloomAPI
import BloomWire
import Testing

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The list of parameters is the truth: every entry is exercised, and the docs print the list.
@Suite struct ParameterTests {
  /// A value that is accepted, and one of a wrong type, for each parameter that is taken.
  static let samples: [String: (good: [String], bad: String)] = [
    "messages": ([], #""hi""#), "prompt": ([], "{}"), "input": ([], "{}"), "model": ([], "7"),
    "stream": (["false", "true"], #""yes""#),
    "max_completion_tokens": (["1", "65536"], "1.5"), "max_tokens": (["1"], #""9""#),
    "max_output_tokens": (["16"], "0"),
    "temperature": (["0", "1", "0.5"], #""hot""#), "top_p": (["1"], "1.1"),
    "top_k": (["0", "40"], "0.5"), "min_p": (["0.1"], "2"), "n": (["1", "8"], "9"),
    "stop": ([#""a""#, #"["a","b"]"#], "[1]"), "stop_sequences": ([#"["a"]"#], #"[""]"#),
    "seed": (["-1", "9007199254740993"], "1e3"),
    "presence_penalty": (["-2"], "3"), "frequency_penalty": (["2"], "-3"),
    "logit_bias": ([#"{"5":-100}"#], #"{"five":1}"#),
    "tools": (["[]"], "{}"), "parallel_tool_calls": (["true"], "1"),
    "response_format": ([#"{"type":"json_object"}"#], #"{"type":"xml"}"#),
    "reasoning_effort": ([#""low""#], #""most""#), "chat_template_kwargs": ([#"{"a":1}"#], "[]"),
    "prompt_cache_key": ([#""k""#], "1"), "user": ([#""u""#], "1"),
    "safety_identifier": ([#""u""#], "1"), "store": (["true"], "1"),
    "service_tier": ([#""auto""#], "1"), "verbosity": ([#""low""#], "1"),
    "encoding_format": ([#""float""#, #""base64""#], #""int8""#), "dimensions": (["256"], "0"),
    "instructions": ([#""be brief""#], "1"), "system": ([#""be brief""#], "1"),
    "text": ([#"{"format":{"type":"json_object"},"verbosity":"low"}"#], "1"),
    "reasoning": ([#"{"effort":"high","summary":"auto"}"#], #"{"effort":"most"}"#),
    "include": ([#"["message.output_text.logprobs"]"#], #"["everything"]"#),
    "truncation": ([#""disabled""#], #""some""#),
    "prompt_cache_options": ([#"{"ttl":"30m"}"#], "1"), "speed": ([#""fast""#], "1"),
    "diagnostics": (["{}"], "1"),
    "prompt_cache_retention": ([#""24h""#], "1"),
    "metadata": ([#"{"user_id":"a"}"#], "1"),
    "output_config": ([#"{"effort":"max"}"#], #"{"effort":"most"}"#),
    "thinking": ([#"{"type":"adaptive"}"#, #"{"type":"disabled"}"#], #"{"type":"maybe"}"#),
    "cache_control": ([#"{"type":"ephemeral"}"#], "1"), "context_management": (["{}"], "1"),
    "format": ([#""json""#, #"{"type":"object"}"#], "1"), "think": (["true", #""low""#], "1"),
    "options": ([#"{"temperature":0,"num_ctx":4096}"#], #"{"temperature":"hot"}"#),
    "keep_alive": ([#""5m""#, "-1"], "{}"), "raw": (["true", "false"], "1"),
    "echo": (["true"], "1"),
  ]

  /// Parameters whose samples need others beside them, or differ from endpoint to endpoint.
  static func sample(_ name: String, _ endpoint: Endpoint) -> (good: [String], bad: String)? {
    switch (name, endpoint) {
    case ("stream_options", .chat), ("stream_options", .completions):
      ([#"{"include_usage":true},"stream":true"#], #"{"include_usage":true}"#)
    case ("stream_options", .responses): (["{}"], "1")
    case ("logprobs", .completions): (["5"], "true")
    case ("logprobs", _): (["true"], "5")
    case ("top_logprobs", .chat): ([#"20,"logprobs":true"#], "5")
    case ("top_logprobs", _): (["20"], "21")
    case ("tool_choice", .messages), ("tool_choice", .countTokens):
      ([#"{"type":"auto"}"#], #"{"type":"any"}"#)
    case ("tool_choice", _): ([#""auto""#, #""none""#], #""required""#)
    default: samples[name]
    }
  }

  @Test func `every endpoint has a table and a smallest body`() throws {
    #expect(ParameterTable.all.map(\.endpoint) == Endpoint.allCases.map(\.rawValue))
    for endpoint in Endpoint.allCases { try endpoint.read(bytes(endpoint.smallest)) }
  }

  @Test(arguments: Endpoint.allCases)
  func `parameters that are taken are checked for their type`(_ endpoint: Endpoint) throws {
    for (name, treatment) in try #require(endpoint.table).parameters {
      if case .refused = treatment { continue }
      let sample = try #require(Self.sample(name, endpoint), "no sample for \(name)")
      let base = without(name, endpoint.smallest)
      for value in sample.good {
        let body = adding(#""\#(name)":\#(value)"#, to: base)
        #expect(throws: Never.self, "\(body)") { try endpoint.read(bytes(body)) }
      }
      let bad = adding(#""\#(name)":\#(sample.bad)"#, to: base)
      let error = refusal(bad) { bytes throws(APIError) in try endpoint.read(bytes) }
      #expect(error?.status == 400, "\(bad)")
      #expect(error?.parameter?.hasPrefix(name) == true, "\(bad): \(error?.parameter ?? "none")")
    }
  }

  /// The smallest body without one of its members.
  private func without(_ name: String, _ json: String) -> String {
    guard case .object(let members)? = try? JSONValue(decoding: bytes(json)) else { return json }
    return text(JSONValue.object(members.filter { $0.name != name }).encoded)
  }

  @Test(arguments: Endpoint.allCases)
  func `parameters that are refused are named`(_ endpoint: Endpoint) throws {
    for (name, treatment) in try #require(endpoint.table).parameters {
      guard case .refused(let reason) = treatment else { continue }
      let body = adding(#""\#(name)":{"a":1}"#, to: endpoint.smallest)
      let error = refusal(body) { bytes throws(APIError) in try endpoint.read(bytes) }
      #expect(error?.parameter == name)
      #expect(error?.code == "unsupported_parameter")
      #expect(error?.message.contains(reason) == true)
      // Null is absent.
      let absent = adding(#""\#(name)":null"#, to: endpoint.smallest)
      #expect(throws: Never.self) { try endpoint.read(bytes(absent)) }
    }
  }

  @Test(arguments: Endpoint.allCases)
  func `unknown parameters are refused and strange names not repeated`(_ endpoint: Endpoint) {
    let read = { (bytes: [UInt8]) throws(APIError) in try endpoint.read(bytes) }
    let known = refusal(adding(#""colour":1"#, to: endpoint.smallest), read)
    #expect(known?.code == "unknown_parameter")
    #expect(known?.message.contains("colour") == true)
    let strange = refusal(adding(#""my secret":1"#, to: endpoint.smallest), read)
    #expect(strange?.message.contains("secret") == false)
  }

  @Test(arguments: Endpoint.allCases)
  func `required members are named when they are missing`(_ endpoint: Endpoint) {
    for body in ["{}", #"{"model":"m"}"#] {
      if endpoint.rawValue.hasPrefix("/api"), body != "{}" { continue }
      let error = refusal(body) { bytes throws(APIError) in try endpoint.read(bytes) }
      #expect(error?.code == "missing_required_parameter")
      #expect(error?.parameter != nil)
    }
  }

  @Test(
    arguments: Endpoint.allCases,
    [
      "", "[]", "7", #""x""#, "{", #"{"model":"m","model":"n"}"#, "{\"model\":\"\u{0}\"}",
      String(repeating: "[", count: 5_000),
    ])
  func `what is not a JSON object is a 400`(_ endpoint: Endpoint, _ body: String) {
    let error = refusal(body) { bytes throws(APIError) in try endpoint.read(bytes) }
    #expect(error?.status == 400)
    #expect(error?.type == "invalid_request_error")
  }

  @Test func `the docs print the list`() throws {
    let path = #filePath.split(separator: "/").dropLast(3).map(String.init) + ["docs", "api.md"]
    let file = "/" + path.joined(separator: "/")
    let mark = "<!-- made from ParameterTable; ParameterTests compares -->\n\n"
    let docs = try String(contentsOfFile: file, encoding: .utf8)
    let parts = docs.split(separator: mark, maxSplits: 1, omittingEmptySubsequences: false)
    try #require(parts.count == 2)
    let wanted = ParameterTable.markdown.dropLast()
    if ProcessInfo.processInfo.environment["DARKBLOOM_WRITE_DOCS"] == "1" {
      let new = "\(parts[0])\(mark)\(wanted)"
      try new.write(toFile: file, atomically: true, encoding: .utf8)
    } else {
      #expect(parts[1] == wanted, "docs/api.md differs: run this with DARKBLOOM_WRITE_DOCS=1")
    }
  }
}
