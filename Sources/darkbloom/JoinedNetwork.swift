internal import BloomBase
internal import BloomPlatform
internal import BloomWire

/// The network that this device joined: where its coordinator is, and the key of its log.
struct JoinedNetwork {
  let url: String
  let origin: String
  /// Ed25519, pinned: a directory that another key signed is refused.
  let logKey: [UInt8]
  /// The account's key; `nil` before `darkbloom login`.
  var apiKey: String?
  /// The pool whose machines alone answer; `nil` for the whole network.
  var pool: String?
  /// An invitation for this machine, used by `darkbloom node enroll`.
  var invite: String?

  /// The file of a data folder.
  static func path(_ data: String) -> String { "\(data)/network.json" }

  /// The network that this device's commands mean: the joined one, or that of a running `up`.
  ///
  /// - Throws: `ConfigurationError` that says how to join.
  static func current(_ context: CommandContext) throws -> JoinedNetwork {
    let joined = path(context.dataFolder)
    let own = "\(context.dataFolder)/up"
    guard try PrivateFile.read(joined) == nil, UpLock.isHeld(folder: own) else {
      return try JoinedNetwork(path: joined)
    }
    return try JoinedNetwork(path: "\(own)/coordinator/local.json")
  }

  /// A network that is joined now.
  init(_ link: NetworkLink) {
    url = link.url
    origin = link.origin
    logKey = link.logKey
  }

  /// Reads `network.json`, or what a local coordinator wrote.
  ///
  /// - Throws: `ConfigurationError` that says how to join.
  init(path: String) throws {
    guard let bytes = try PrivateFile.read(path) else {
      throw ConfigurationError(
        "this device has joined no network (\(path) is missing); run: darkbloom join LINK, or "
          + "darkbloom up for a network of your own, or use the node of this device alone: "
          + "darkbloom policy set places device")
    }
    guard let value = try? JSONValue(decoding: bytes), let url = value["url"]?.string,
      let origin = value["origin"]?.string,
      let key = value["log_key"]?.string.flatMap({ Hex.decode($0) }), key.count == 32
    else {
      throw ConfigurationError(
        "\(path) is not a network file; remove it and run: darkbloom join LINK")
    }
    self.url = url
    self.origin = origin
    logKey = key
    apiKey = value["api_key"]?.string
    pool = value["pool"]?.string
    invite = value["invite"]?.string
  }

  /// Keeps the file, mode 0600.
  func write(to path: String) throws {
    var members: [JSONValue.Member] = [
      .init("url", .string(url)), .init("origin", .string(origin)),
      .init("log_key", .string(Hex.encode(logKey))),
    ]
    for (name, text) in [("api_key", apiKey), ("pool", pool), ("invite", invite)] {
      if let text { members.append(.init(name, .string(text))) }
    }
    try PrivateFile.write(JSONValue.object(members).encoded + [0x0a], to: path)
  }

  /// The key, for commands that need an account.
  ///
  /// - Throws: `ConfigurationError` that says how to get one.
  func requireKey() throws -> String {
    guard let apiKey else {
      throw ConfigurationError("this device has no account here yet; run: darkbloom login")
    }
    return apiKey
  }
}
