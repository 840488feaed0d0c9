internal import BloomBase

/// Where a network is and which key signs its directory: one line that people pass on.
///
/// `https://HOST/join#origin=NAME&key=BASE64URL&invite=CODE&for=node`. Everything but the address stands in
/// the fragment, which browsers and clients never send to a server.
package struct NetworkLink: Sendable, Hashable {
  /// Why a text is no link.
  package enum Problem: PublicError, Equatable {
    /// No `#` or an address that is not `http` or `https`.
    case notALink
    /// The log key is missing or not 32 bytes.
    case badKey
    /// The log's name is missing or not one.
    case badOrigin
    /// The invitation is not one.
    case badInvite

    /// What is wrong and what to do.
    package var publicDescription: String {
      switch self {
      case .notALink:
        "this is not a network link; it looks like https://HOST/join#origin=NAME&key=KEY, and the "
          + "shell needs it in quotes"
      case .badKey:
        "the link's key is missing or damaged; copy the whole link, in quotes, and try again"
      case .badOrigin: "the link's origin is missing or damaged; copy the whole link again"
      case .badInvite: "the link's invite is damaged; copy the whole link again"
      }
    }
  }

  /// `http` or `https` URL without a path.
  package let url: String
  /// The log's name.
  package let origin: String
  /// The log's Ed25519 key, 32 bytes, pinned by whoever joins.
  package let logKey: [UInt8]
  /// The invitation that comes with it; `nil` for none.
  package let invite: String?
  /// Whether the invitation is for a machine that serves, not for a user.
  package let isForMachine: Bool

  /// Joins the parts; they are not checked.
  package init(
    url: String, origin: String, logKey: [UInt8], invite: String? = nil,
    isForMachine: Bool = false
  ) {
    self.url = url
    self.origin = origin
    self.logKey = logKey
    self.invite = invite
    self.isForMachine = isForMachine
  }

  /// Reads a link.
  ///
  /// - Throws: ``Problem``.
  package init(_ text: String) throws(Problem) {
    let halves = text.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
    guard halves.count == 2, let base = Self.base(halves[0]) else { throw .notALink }
    var fields: [Substring: Substring] = [:]
    for pair in halves[1].split(separator: "&") {
      let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 2, fields[parts[0]] == nil else { throw .notALink }
      fields[parts[0]] = parts[1]
    }
    guard let key = fields["key"].flatMap({ Base64.decode($0, .url) }), key.count == 32 else {
      throw .badKey
    }
    guard let origin = fields["origin"].flatMap({ ShortName(String($0)) }) else {
      throw .badOrigin
    }
    if let invite = fields["invite"], Base64.decode(invite, .url)?.count != InviteCode.byteCount {
      throw .badInvite
    }
    self.init(
      url: base, origin: origin.text, logKey: key, invite: fields["invite"].map { String($0) },
      isForMachine: fields["for"] == "node")
  }

  /// The whole line.
  package var text: String {
    "\(url)/join#origin=\(origin)&key=\(Base64.encode(logKey, .url))"
      + (invite.map { "&invite=\($0)" } ?? "") + (isForMachine ? "&for=node" : "")
  }

  /// Scheme and authority; `nil` for anything that is no HTTP URL.
  private static func base(_ text: Substring) -> String? {
    for scheme in ["https://", "http://"] where text.hasPrefix(scheme) {
      let authority = text.dropFirst(scheme.count).prefix { $0 != "/" && $0 != "?" }
      guard !authority.isEmpty, authority.utf8.allSatisfy({ (0x21...0x7e).contains($0) }),
        !authority.contains("@")
      else { return nil }
      return scheme + authority
    }
    return nil
  }
}

/// The code of an invitation: 16 random bytes as base64url; the coordinator keeps its SHA-256 only.
package enum InviteCode: Sendable {
  /// Bytes of a code.
  package static let byteCount = 16
}

/// The bytes that HIK signs to join a machine to an account, or to take it out.
package enum EnrolmentProof: Sendable {
  /// What is asked for.
  package enum Purpose: String, Sendable {
    /// Join the machine to an account.
    case enrol
    /// Take it out of its account.
    case leave
    /// Say whether the network would take it in.
    case check
  }

  /// `"darkbloom/1 PURPOSE" | 00 | challenge(32) | log key(32)`.
  ///
  /// The log key binds the proof to one network: a coordinator cannot use another's challenge to
  /// take a machine over there.
  /// - Parameters:
  ///   - purpose: What is asked for.
  ///   - challenge: The coordinator's, used once.
  ///   - logKey: The Ed25519 key that the machine pinned when it joined the network.
  /// - Returns: The bytes to sign.
  package static func message(
    _ purpose: Purpose, challenge: [UInt8], logKey: [UInt8]
  ) -> [UInt8] {
    Array("darkbloom/1 \(purpose.rawValue)".utf8) + [0] + challenge + logKey
  }
}

/// The names of pools and of their logs.
package enum PoolName: Sendable {
  /// Whether a text is a pool's name: 1…32 of `a-z 0-9 -`, a letter or digit first.
  package static func isValid(_ text: String) -> Bool {
    (1...32).contains(text.utf8.count) && text.utf8.first != 0x2d
      && text.utf8.allSatisfy {
        (0x61...0x7a).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2d
      }
  }

  /// The name of a pool's directory log: its checkpoints are never taken for the network's own.
  package static func origin(of pool: String, in network: String) -> String {
    "\(network)/pool/\(pool)"
  }
}
