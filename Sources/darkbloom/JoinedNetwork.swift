internal import BloomBase
internal import BloomPlatform
internal import BloomWire

/// The network that this device joined: where its coordinator is, and the key of its log.
struct JoinedNetwork {
  let url: String
  let origin: String
  /// Ed25519, pinned: a directory that another key signed is refused.
  let logKey: [UInt8]
  let apiKey: String

  /// Reads `network.json`, or what a local coordinator wrote.
  ///
  /// - Throws: `ConfigurationError` that says how to join.
  init(path: String) throws {
    guard let bytes = try PrivateFile.read(path) else {
      throw ConfigurationError(
        "this device has joined no network (\(path) is missing); run: darkbloom up, "
          + "or use the node of this device alone: darkbloom policy set places device")
    }
    guard let value = try? JSONValue(decoding: bytes), let url = value["url"]?.string,
      let origin = value["origin"]?.string,
      let key = value["log_key"]?.string.flatMap({ Hex.decode($0) }), key.count == 32,
      let apiKey = value["api_key"]?.string
    else { throw ConfigurationError("\(path) is not a network file; join the network again") }
    self.url = url
    self.origin = origin
    logKey = key
    self.apiKey = apiKey
  }
}
