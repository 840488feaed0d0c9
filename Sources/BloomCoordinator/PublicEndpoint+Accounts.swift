internal import BloomHTTP

extension PublicEndpoint {
  /// Accounts, keys, devices and machines.
  static let accounts: [PublicEndpoint] = [
    PublicEndpoint(
      method: .post, path: "/v1/signup",
      summary: "Makes an account, with an invitation where the network asks for one.",
      request: ("application/json", "Any"), response: ("application/json", "Any"),
      failures: [400, 403]),
    PublicEndpoint(
      method: .get, path: "/v1/account", summary: "The account and its key's limits and spending.",
      access: .account, response: ("application/json", "Any"), failures: [401]),
    PublicEndpoint(
      method: .get, path: "/v1/keys", summary: "Keys of the account.", access: .account,
      response: ("application/json", "Any"), failures: [401, 403]),
    PublicEndpoint(
      method: .post, path: "/v1/keys", summary: "Makes a key with limits.", access: .account,
      request: ("application/json", "Any"), response: ("application/json", "Any"),
      failures: [400, 401, 403]),
    PublicEndpoint(
      method: .post, path: "/v1/keys/:id/revoke", summary: "Ends a key.", access: .account,
      parameters: [
        Parameter(name: "id", meaning: "the key's id", isInPath: true, isRequired: true)
      ], request: ("application/json", "Any"), response: ("application/json", "Any"),
      failures: [401, 403, 404]),
    PublicEndpoint(
      method: .post, path: "/v1/enrol/challenge",
      summary: "What a machine signs to show its identity.", response: ("application/json", "Any")),
    PublicEndpoint(
      method: .post, path: "/v1/device/code", summary: "A device asks to be joined to an account.",
      request: ("application/json", "Any"), response: ("application/json", "Any"), failures: [400]),
    PublicEndpoint(
      method: .post, path: "/v1/device/token", summary: "A device asks whether it was approved.",
      request: ("application/json", "Any"), response: ("application/json", "Any"), failures: [400]),
    PublicEndpoint(
      method: .post, path: "/v1/device/lookup", summary: "What a device's short code stands for.",
      access: .account, request: ("application/json", "Any"), response: ("application/json", "Any"),
      failures: [400, 401, 403]),
    PublicEndpoint(
      method: .post, path: "/v1/device/approve", summary: "Approves or denies a device.",
      access: .account, request: ("application/json", "Any"), response: ("application/json", "Any"),
      failures: [400, 401, 403, 404, 409]),
    PublicEndpoint(
      method: .get, path: "/v1/nodes", summary: "Machines of the account.", access: .account,
      response: ("application/json", "Any"), failures: [401]),
    PublicEndpoint(
      method: .post, path: "/v1/enrol/check",
      summary: "Whether a machine would be let in, by its own signature.",
      request: ("application/json", "Any"), response: ("application/json", "Any"),
      failures: [400, 404]),
    PublicEndpoint(
      method: .post, path: "/v1/enrol/leave", summary: "A machine leaves its account.",
      request: ("application/json", "Any"), response: ("application/json", "Any"), failures: [400]),
    PublicEndpoint(
      method: .post, path: "/v1/nodes/:node/remove", summary: "Removes a machine from the account.",
      access: .account,
      parameters: [
        Parameter(name: "node", meaning: "the machine", isInPath: true, isRequired: true)
      ], request: ("application/json", "Any"), response: ("application/json", "Any"),
      failures: [401, 403, 404]),
  ]

  /// Private pools and their directories.
  static let pools: [PublicEndpoint] = [
    PublicEndpoint(
      method: .get, path: "/v1/pools", summary: "Pools of the account.", access: .account,
      response: ("application/json", "Any"), failures: [401]),
    PublicEndpoint(
      method: .post, path: "/v1/pools", summary: "Makes a pool.", access: .account,
      request: ("application/json", "Any"), response: ("application/json", "Any"),
      failures: [400, 401, 403]),
    PublicEndpoint(
      method: .post, path: "/v1/pools/join", summary: "Joins a pool by an invitation.",
      access: .account, request: ("application/json", "Any"), response: ("application/json", "Any"),
      failures: [400, 401, 404]),
    PublicEndpoint(
      method: .get, path: "/v1/pools/:pool", summary: "A pool.", access: .account,
      parameters: [
        Parameter(name: "pool", meaning: "the pool's name", isInPath: true, isRequired: true)
      ], response: ("application/json", "Any"), failures: [401, 404]),
    PublicEndpoint(
      method: .post, path: "/v1/pools/:pool/policy", summary: "Sets what members may do.",
      access: .account,
      parameters: [
        Parameter(name: "pool", meaning: "the pool's name", isInPath: true, isRequired: true)
      ], request: ("application/json", "Any"), response: ("application/json", "Any"),
      failures: [400, 401, 403, 404]),
    PublicEndpoint(
      method: .get, path: "/v1/pools/:pool/audit", summary: "What happened in a pool.",
      access: .account,
      parameters: [
        Parameter(name: "pool", meaning: "the pool's name", isInPath: true, isRequired: true)
      ], response: ("application/json", "Any"), failures: [401, 403, 404]),
    PublicEndpoint(
      method: .post, path: "/v1/pools/:pool/invite", summary: "Invites to a pool.",
      access: .account,
      parameters: [
        Parameter(name: "pool", meaning: "the pool's name", isInPath: true, isRequired: true)
      ], request: ("application/json", "Any"), response: ("application/json", "Any"),
      failures: [400, 401, 403, 404]),
    PublicEndpoint(
      method: .post, path: "/v1/pools/:pool/leave", summary: "Leaves a pool.", access: .account,
      parameters: [
        Parameter(name: "pool", meaning: "the pool's name", isInPath: true, isRequired: true)
      ], request: ("application/json", "Any"), response: ("application/json", "Any"),
      failures: [401, 404]),
    PublicEndpoint(
      method: .get, path: "/v1/pools/:pool/directory",
      summary: "The newest snapshot of a pool's machines, for members.", access: .account,
      parameters: [
        Parameter(name: "pool", meaning: "the pool's name", isInPath: true, isRequired: true),
        Parameter(name: "from", meaning: "size of the log that is known", type: "integer"),
      ], response: ("application/cbor", "Bytes"), failures: [401, 404]),
    PublicEndpoint(
      method: .get, path: "/v1/pools/:pool/directory/:number/:tree",
      summary: "Records of one tree of a pool's machines.", access: .account,
      parameters: [
        Parameter(name: "pool", meaning: "the pool's name", isInPath: true, isRequired: true),
        Parameter(
          name: "number", meaning: "the snapshot", isInPath: true, isRequired: true,
          type: "integer"),
        Parameter(
          name: "tree", meaning: "its index in the snapshot", isInPath: true, isRequired: true,
          type: "integer"),
        Parameter(name: "indexes", meaning: "up to 256 numbers with commas", isRequired: true),
      ], response: ("application/cbor", "Bytes"), failures: [401, 404]),
  ]
}
