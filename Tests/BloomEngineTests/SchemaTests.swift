import BloomBase
import BloomEngine
import BloomWire
import Testing

@testable import BloomEngineLlama

/// Constrained output against a table of schemas, by a validator of our own.
@Suite(.serialized) struct SchemaTests {
  /// Every schema is bounded, so that the answer ends by itself.
  static let table: [String] = [
    ##"{"type":"object","properties":{"city":{"type":"string","maxLength":12},"n":{"type":"integer","minimum":0,"maximum":99}},"required":["city","n"],"additionalProperties":false}"##,
    ##"{"type":"array","items":{"type":"boolean"},"minItems":2,"maxItems":3}"##,
    ##"{"enum":["red","grün",7,null]}"##,
    ##"{"const":"only this"}"##,
    ##"{"type":"object","properties":{"k":{"anyOf":[{"type":"null"},{"type":"boolean"}]}},"required":["k"],"additionalProperties":false}"##,
    ##"{"type":"string","minLength":3,"maxLength":8}"##,
    ##"{"type":"string","pattern":"^[A-F]{2}-[0-9]{3}$"}"##,
    ##"{"type":"integer","minimum":10,"maximum":20}"##,
    ##"{"type":["boolean","null"]}"##,
    ##"{"$defs":{"flag":{"type":"boolean"}},"type":"object","properties":{"a":{"$ref":"#/$defs/flag"},"b":{"$ref":"#/$defs/flag"}},"required":["a","b"],"additionalProperties":false}"##,
    ##"{"type":"object","properties":{"list":{"type":"array","items":{"type":"object","properties":{"ok":{"type":"boolean"}},"required":["ok"],"additionalProperties":false},"minItems":1,"maxItems":2}},"required":["list"],"additionalProperties":false}"##,
    ##"{"type":"string","format":"date"}"##,
  ]

  @Test func `constrained answers end by themselves and validate`() async throws {
    let engine = try await Fixtures.engine { $0.slots = 4 }
    for (index, text) in Self.table.enumerated() {
      let format =
        ##","response_format":{"type":"json_schema","json_schema":{"name":"x","schema":\##(text)}}"##
      var request = EngineRequest(
        job: chat("Give me JSON about Bern.", format), seed: UInt64(index), maxTokens: 120)
      request.sampling.temperature = 1.5
      request.sampling.topK = 40
      let answer = try await collect(engine, request)
      #expect(answer.error == nil, "\(text)")
      #expect(answer.finishes[0] == .stop, "\(text): \(answer.visible())")
      let schema = try JSONValue(decoding: Array(text.utf8))
      let value = try JSONValue(decoding: Array(answer.visible().utf8))
      #expect(SchemaCheck(root: schema).accepts(value, schema), "\(text): \(answer.visible())")
    }
    await engine.stop()
  }

  @Test func `the validator refuses what breaks a schema`() throws {
    let wrong = [
      #"{"city":"Bern"}"#, "[true]", "\"blue\"", "\"other\"", #"{"k":1}"#, "\"ab\"", "\"AG-12\"",
      "21", "1", #"{"a":true,"b":0}"#, #"{"list":[]}"#, "\"yesterday\"",
    ]
    for (text, wrong) in zip(Self.table, wrong) {
      let schema = try JSONValue(decoding: Array(text.utf8))
      let value = try JSONValue(decoding: Array(wrong.utf8))
      #expect(!SchemaCheck(root: schema).accepts(value, schema), "\(text)")
    }
  }
}

/// The part of JSON Schema that the table uses.
struct SchemaCheck {
  let root: JSONValue

  func accepts(_ value: JSONValue, _ schema: JSONValue) -> Bool {
    if let path = schema["$ref"]?.string {
      let target = path.split(separator: "/").dropFirst().reduce(root as JSONValue?) {
        $0?[String($1)]
      }
      return target.map { accepts(value, $0) } ?? false
    }
    if let options = schema["enum"]?.items { return options.contains(value) }
    if let only = schema["const"] { return only == value }
    if let options = schema["anyOf"]?.items { return options.contains { accepts(value, $0) } }
    let types = schema["type"].map { $0.items ?? [$0] } ?? []
    guard types.contains(where: { $0.string == Self.type(of: value) }) else { return false }
    switch value {
    case .string(let text): return accepts(text, schema)
    case .array(let items):
      return (schema["minItems"]?.integer ?? 0) <= items.count
        && items.count <= (schema["maxItems"]?.integer ?? .max)
        && items.allSatisfy { item in schema["items"].map { accepts(item, $0) } ?? true }
    case .object(let members):
      let names = members.map(\.name)
      let wanted = schema["required"]?.items?.compactMap(\.string) ?? []
      return Set(names).count == names.count && Set(names).isSuperset(of: wanted)
        && members.allSatisfy { member in
          schema["properties"]?[member.name].map { accepts(member.value, $0) } ?? false
        }
    case .number(let number):
      let whole = number.integer ?? .min
      return (schema["minimum"]?.integer ?? .min) <= whole
        && whole <= (schema["maximum"]?.integer ?? .max)
    case .null, .bool: return true
    }
  }

  private func accepts(_ text: String, _ schema: JSONValue) -> Bool {
    let count = Int64(text.unicodeScalars.count)
    guard (schema["minLength"]?.integer ?? 0) <= count,
      count <= (schema["maxLength"]?.integer ?? .max)
    else { return false }
    if schema["pattern"] != nil { return text.wholeMatch(of: /[A-F]{2}-[0-9]{3}/) != nil }
    if schema["format"]?.string == "date" {
      return text.wholeMatch(of: /[0-9]{4}-[01][0-9]-[0-3][0-9]/) != nil
    }
    return true
  }

  private static func type(of value: JSONValue) -> String {
    switch value {
    case .null: "null"
    case .bool: "boolean"
    case .number(let number): number.integer == nil ? "number" : "integer"
    case .string: "string"
    case .array: "array"
    case .object: "object"
    }
  }
}
