internal import BloomHTTP

extension PublicEndpoint {
  private static let period = [
    Parameter(name: "from", meaning: "first day, YYYY-MM-DD, 29 days before the last unless given"),
    Parameter(name: "to", meaning: "last day, YYYY-MM-DD, UTC, today unless given"),
  ]
  private static let node = [
    Parameter(name: "node", meaning: "the machine", isInPath: true, isRequired: true)
  ]

  /// Policy, statements, payouts, disputes, own prices.
  static let money: [PublicEndpoint] = [
    PublicEndpoint(
      method: .get, path: "/v1/policy",
      summary: "How what users pay is shared, with the network's signature over it.",
      response: ("application/json", "Any")),
    PublicEndpoint(
      method: .get, path: "/v1/statement",
      summary: "What the account paid and earned, by day, machine and model or answer by answer.",
      access: .account,
      parameters: period + [
        Parameter(name: "detail", meaning: "days or answers, days unless given"),
        Parameter(name: "format", meaning: "json or csv, json unless given"),
      ], response: ("application/json", "Any"), failures: [400, 401]),
    PublicEndpoint(
      method: .get, path: "/v1/usage", summary: "Counts of each day, asked and served.",
      access: .account, parameters: period, response: ("application/json", "Usage"),
      failures: [400, 401]),
    PublicEndpoint(
      method: .get, path: "/v1/payouts", summary: "Payouts of the account, newest first.",
      access: .account, response: ("application/json", "Any"), failures: [401]),
    PublicEndpoint(
      method: .post, path: "/v1/payouts",
      summary: "Asks for what was earned; the operator pays and confirms.", access: .account,
      request: ("application/json", "Any"), response: ("application/json", "Any"),
      failures: [400, 401, 403, 409]),
    PublicEndpoint(
      method: .get, path: "/v1/disputes", summary: "Open disputes, of either side.",
      access: .account, response: ("application/json", "Any"), failures: [401]),
    PublicEndpoint(
      method: .post, path: "/v1/disputes",
      summary: "Questions an answer that the account paid: the owner's share is held.",
      access: .account, request: ("application/json", "Any"), response: ("application/json", "Any"),
      failures: [400, 401, 404, 409]),
    PublicEndpoint(
      method: .get, path: "/v1/nodes/:node/price",
      summary: "What the owner asks for a machine's answers.", access: .account, parameters: node,
      response: ("application/json", "Any"), failures: [401, 404]),
    PublicEndpoint(
      method: .post, path: "/v1/nodes/:node/price",
      summary: "Sets a machine's own price within the policy's bounds, or takes it back.",
      access: .account, parameters: node, request: ("application/json", "Any"),
      response: ("application/json", "Any"), failures: [400, 401, 403, 404]),
  ]
}
