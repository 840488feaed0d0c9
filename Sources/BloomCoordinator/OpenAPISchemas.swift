internal import BloomWire

/// The shapes of JSON that the description names.
enum OpenAPISchemas: Sendable {
  static var all: JSONValue {
    .members([
      "Text": type("string"), "Any": type("object"),
      "Bytes": .members([
        "type": .string("string"), "contentMediaType": .string("application/octet-stream"),
      ]),
      "Price": object([
        ("prompt_micros_per_million_tokens", type("integer")),
        ("completion_micros_per_million_tokens", type("integer")),
      ]),
      "ModelList": object([
        ("object", constant("list")),
        (
          "data",
          list(
            object([
              ("id", type("string")), ("object", constant("model")), ("created", type("integer")),
              ("owned_by", type("string")), ("manifest", type("string")),
              ("available", type("boolean")), ("price", reference("Price")),
            ]))
        ),
      ]),
      "Spread": object([("p50", type("integer")), ("p95", type("integer"))]),
      "Network": object([
        ("object", constant("network")), ("measured_at", type("integer")),
        ("refreshed_every_seconds", type("integer")), ("window_seconds", type("integer")),
        ("minimum_machines", type("integer")), ("routable_machines", orNull(type("integer"))),
        (
          "models",
          list(
            object([
              ("id", type("string")), ("manifest", type("string")),
              ("available", type("boolean")), ("routable_machines", orNull(type("integer"))),
              ("routable_slots", orNull(type("integer"))),
              ("decode_tokens_per_second", orNull(type("integer"))),
              ("answer_tokens_per_second", orNull(reference("Spread"))),
              ("first_token_milliseconds", orNull(reference("Spread"))),
              ("price", reference("Price")),
            ]))
        ),
      ]),
      "Range": .members([
        "oneOf": .array([
          object([("low", type("integer")), ("high", type("integer"))]), constant("unknown"),
        ])
      ]),
      "EarningsEstimate": object([
        ("object", constant("earnings_estimate")), ("model", type("string")),
        ("measured_at", type("integer")), ("period", constant("day")),
        ("days_of_demand", type("integer")),
        ("share", .members(["oneOf": .array([type("number"), constant("unknown")])])),
        ("gross_micros", reference("Range")), ("electricity_micros", reference("Range")),
        ("net_micros", reference("Range")), ("unknown_because", list(type("string"))),
        ("note", type("string")),
      ]),
      "Acknowledgement": object([
        ("answer", type("string")), ("part", type("integer")), ("receipt", type("string")),
        ("verdict", choice(["ok", "mismatch"])),
      ]),
      "UsageSides": object([
        (
          "asked",
          object([
            ("answers", type("integer")), ("prompt_tokens", type("integer")),
            ("completion_tokens", type("integer")), ("paid_micros", type("integer")),
          ])
        ),
        (
          "served",
          object([
            ("parts", type("integer")), ("prompt_tokens", type("integer")),
            ("completion_tokens", type("integer")), ("earned_micros", type("integer")),
          ])
        ),
      ]),
      "Usage": object([
        ("from", type("string")), ("to", type("string")), ("days", list(reference("UsageSides"))),
        ("total", reference("UsageSides")),
      ]),
      "AcknowledgementResult": object([("status", choice(["agreed", "noted", "held", "unknown"]))]),
    ])
  }

  static func type(_ name: String) -> JSONValue { .members(["type": .string(name)]) }

  static func constant(_ value: String) -> JSONValue { .members(["const": .string(value)]) }

  static func choice(_ values: [String]) -> JSONValue {
    .members(["enum": .array(values.map { .string($0) })])
  }

  static func reference(_ name: String) -> JSONValue {
    .members(["$ref": .string("#/components/schemas/\(name)")])
  }

  static func list(_ items: JSONValue) -> JSONValue {
    .members(["type": .string("array"), "items": items])
  }

  static func orNull(_ schema: JSONValue) -> JSONValue {
    .members(["oneOf": .array([schema, .members(["type": .string("null")])])])
  }

  /// An object all of whose members are always there.
  static func object(_ members: [(name: String, schema: JSONValue)]) -> JSONValue {
    .members([
      "type": .string("object"),
      "required": .array(members.map { .string($0.name) }),
      "properties": .object(members.map { .init($0.name, $0.schema) }),
    ])
  }
}
