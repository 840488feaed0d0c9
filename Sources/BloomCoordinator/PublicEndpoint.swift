internal import BloomBase
internal import BloomHTTP

/// One route as its users see it: a line of the OpenAPI description.
struct PublicEndpoint: Sendable {
  /// Who may ask.
  enum Access: Sendable { case everybody, account, operatorOnly }

  /// One parameter of path or query.
  struct Parameter: Sendable {
    let name: String
    let meaning: String
    var isInPath = false
    var isRequired = false
    var type = "string"
  }

  let method: HTTPMethod
  /// As the router has it: `:name` for a part of the path.
  let path: String
  let summary: String
  var access = Access.everybody
  var parameters: [Parameter] = []
  /// Media type and schema's name of the request's body.
  var request: (type: String, schema: String)?
  /// Media type and schema's name of the good answer.
  var response: (type: String, schema: String) = ("text/plain", "Text")
  /// The good answer's status.
  var status = 200
  /// Other statuses that its users meet, beside 429 of every route.
  var failures: [Int] = []

  /// Everything the coordinator serves.
  static let all = network + accounts + pools + money

  private static let network: [PublicEndpoint] = [
    PublicEndpoint(
      method: .get, path: "/livez", summary: "Whether the process answers."),
    PublicEndpoint(
      method: .get, path: "/readyz", summary: "Whether new work is taken.", failures: [503]),
    PublicEndpoint(
      method: .get, path: "/metrics", summary: "Prometheus' text format; for this machine.",
      access: .operatorOnly, failures: [403]),
    PublicEndpoint(
      method: .get, path: "/openapi.json", summary: "This description.",
      response: ("application/json", "Any")),
    PublicEndpoint(
      method: .get, path: "/v1/models",
      summary: "Models, their prices and whether they are served.",
      response: ("application/json", "ModelList")),
    PublicEndpoint(
      method: .get, path: "/v1/network",
      summary: "Coarse figures of the network; nothing that tells one machine.",
      response: ("application/json", "Network")),
    PublicEndpoint(
      method: .get, path: "/v1/earnings/estimate",
      summary: "What a machine might earn in a day, as a range.",
      parameters: [
        Parameter(name: "model", meaning: "name or manifest digest", isRequired: true),
        Parameter(
          name: "tokens_per_second", meaning: "the machine's decode rate", isRequired: true,
          type: "number"),
        Parameter(name: "hours_per_day", meaning: "0 to 24, default 24", type: "number"),
        Parameter(
          name: "watts", meaning: "drawn while serving, beyond what is drawn anyway",
          type: "number"),
        Parameter(
          name: "price_per_kwh_micros", meaning: "electricity, micro-units", type: "number"),
      ], response: ("application/json", "EarningsEstimate"), failures: [400, 404]),
    PublicEndpoint(
      method: .post, path: "/v1/receipts/ack",
      summary: "A client compares its last receipt of a part with what was settled.",
      access: .account, request: ("application/json", "Acknowledgement"),
      response: ("application/json", "AcknowledgementResult"), failures: [400, 401, 404]),
    PublicEndpoint(
      method: .post, path: "/v1/sealed",
      summary: "Sends an envelope; the answer is a stream of outer records.",
      access: .account, request: ("application/darkbloom-req", "Bytes"),
      response: ("application/darkbloom-res", "Bytes"),
      failures: [400, 401, 402, 409, 413, 421, 422, 503, 504]),
    PublicEndpoint(
      method: .get, path: "/v1/node", summary: "The WebSocket of a node's agent.", status: 101,
      failures: [401, 403, 426]),
    PublicEndpoint(
      method: .get, path: "/v1/directory",
      summary: "The newest snapshot with its checkpoint and proofs.",
      parameters: [
        Parameter(name: "from", meaning: "size of the log that is known", type: "integer")
      ], response: ("application/cbor", "Bytes"), failures: [404]),
    PublicEndpoint(
      method: .get, path: "/v1/directory/:number/:tree",
      summary: "Node records of one tree with inclusion proofs.",
      parameters: [
        Parameter(
          name: "number", meaning: "the snapshot", isInPath: true, isRequired: true,
          type: "integer"),
        Parameter(
          name: "tree", meaning: "its index in the snapshot", isInPath: true, isRequired: true,
          type: "integer"),
        Parameter(name: "indexes", meaning: "up to 256 numbers with commas", isRequired: true),
      ], response: ("application/cbor", "Bytes"), failures: [404]),
    PublicEndpoint(
      method: .get, path: "/v1/manifests/:digest", summary: "A model's manifest by its digest.",
      parameters: [
        Parameter(
          name: "digest", meaning: "SHA-256, hexadecimal", isInPath: true, isRequired: true)
      ], response: ("application/cbor", "Bytes"), failures: [404]),
  ]
}
