internal import BloomBase
internal import BloomHTTP
package import BloomModels
package import BloomNet

/// Fetches model files from HTTPS mirrors by range requests, and goes on where a connection broke.
///
/// A mirror is a URL under which each file lies as `sha256-HEX`, a pattern with `{sha256}` or
/// `{name}`, or the URL of the one file itself. Nothing that a mirror says is believed: sizes are
/// checked here, bytes by their digest.
package final class HTTPModelSource: ModelSource {
  /// Redirects that are followed for one request; each range starts at the mirror's own URL again.
  static let redirects = 5
  /// Tries in a row without a single byte before the file's attempt fails.
  static let fruitlessTries = 4

  private let mirrors: [String]
  private let areFiles: Bool
  private let client: HTTPClient
  private let pause: Duration
  /// How often each file was begun: a wrong or broken one is tried at the next mirror.
  private let turns = Locked<[Digest: Int]>([:])

  /// Names the mirrors.
  ///
  /// - Parameters:
  ///   - mirrors: Tried in order; `https`, or `http` on this machine's own loopback.
  ///   - areFiles: Whether each mirror is the URL of the wanted file.
  ///   - client: Carries the requests.
  ///   - pause: After a try without a byte, doubled for each further one.
  /// - Throws: `ModelsError` `badSource` for a mirror that is none.
  package init(
    mirrors: [String], areFiles: Bool = false, client: HTTPClient,
    pause: Duration = .milliseconds(500)
  ) throws(ModelsError) {
    guard !mirrors.isEmpty else { throw ModelsError(.badSource, "no mirror is named") }
    for mirror in mirrors where Self.allowed(mirror) == nil {
      throw ModelsError(.badSource, "a mirror must be an https URL")
    }
    self.mirrors = mirrors
    self.areFiles = areFiles
    self.client = client
    self.pause = pause
  }

  /// The URL when its bytes may come from there: encrypted, or from this machine.
  private static func allowed(_ text: String) -> HTTPURL? {
    guard let url = try? HTTPURL(text) else { return nil }
    return isAllowed(url) ? url : nil
  }

  private static func isAllowed(_ url: HTTPURL) -> Bool {
    url.scheme.usesTLS || url.authority.isLoopback
  }

  /// Where a redirect leads; `nil` when nothing may come from there.
  ///
  /// Over the encrypted way that the owner chose nobody is led back to an open one, loopback's
  /// included: what listens there is not what the mirror means.
  static func next(_ location: String, after url: HTTPURL) -> HTTPURL? {
    guard let next = try? HTTPURL(location, relativeTo: url), isAllowed(next) else { return nil }
    return next.scheme.usesTLS || !url.scheme.usesTLS ? next : nil
  }

  /// Why one request failed, and whether asking the same mirror again would end the same.
  private struct Trouble: Error {
    var error: ModelsError
    var isLasting: Bool

    static func broken(_ name: String, _ error: any Error) -> Trouble {
      Trouble(
        error: ModelsError(.badSource, "\(name): \(error.safeDescription)"), isLasting: false)
    }

    static func lie(_ name: String, _ text: String) -> Trouble {
      Trouble(error: ModelsError(.badSource, "\(name): \(text)"), isLasting: true)
    }
  }

  private func place(_ file: ModelManifest.File, _ turn: Int) -> String {
    let mirror = mirrors[turn % mirrors.count]
    if areFiles { return mirror }
    let digest = file.sha256.hex
    guard mirror.contains("{") else {
      return "\(mirror)\(mirror.hasSuffix("/") ? "" : "/")sha256-\(digest)"
    }
    return Self.replacing(
      "{name}", PercentCoding.encode(file.name), in: Self.replacing("{sha256}", digest, in: mirror))
  }

  private static func replacing(_ mark: String, _ text: String, in pattern: String) -> String {
    var rest = pattern[...]
    var result = ""
    while let range = rest.firstRange(of: mark) {
      result += rest[..<range.lowerBound] + text
      rest = rest[range.upperBound...]
    }
    return result + rest
  }

  /// Asks the first mirror how long its file is: one byte is fetched.
  ///
  /// - Parameter name: What the file is called in an error.
  /// - Returns: The size in bytes, as the mirror says.
  /// - Throws: `ModelsError` `badSource` when there is no such file, or the mirror does not say.
  package func byteCount(_ name: String) async throws(ModelsError) -> UInt64 {
    do throws(Trouble) {
      let response = try await request(mirrors[0], range: "bytes=0-0", name)
      let total =
        switch response.status.code {
        case 200: response.headers[.contentLength].flatMap { UInt64($0) }
        case 206: response.headers["Content-Range"].flatMap { Self.range($0)?.total }
        default: throw .lie(name, "the mirror answers with status \(response.status.code)")
        }
      guard let total, (1...ModelManifest.Limits.fileBytes).contains(total) else {
        throw .lie(name, "the mirror does not tell a size that a model can have")
      }
      return total
    } catch {
      throw error.error
    }
  }

  /// Fetches a file's bytes from an offset on.
  package func fetch(
    _ file: ModelManifest.File, from offset: UInt64,
    receive: (ArraySlice<UInt8>) async throws(ModelsError) -> Void
  ) async throws(ModelsError) {
    let turn = turns.withLock { turns in
      defer { turns[file.sha256, default: 0] += 1 }
      return turns[file.sha256] ?? 0
    }
    var offset = offset
    var fruitless = 0
    while offset < file.byteCount {
      let start = offset
      var failure: ModelsError?
      do throws(Trouble) {
        try await piece(file, place(file, turn), &offset, receive)
        if offset == start {
          failure = ModelsError(.badSource, "\(file.name): the mirror sent nothing")
        }
      } catch {
        // The disk, or a mirror that lies: asking it again does not help.
        guard !error.isLasting, !Task.isCancelled else { throw error.error }
        failure = error.error
      }
      guard let failure else { continue }
      fruitless = offset > start ? 0 : fruitless + 1
      guard fruitless < Self.fruitlessTries else { throw failure }
      let wait = pause * (1 << min(fruitless, 6))
      guard (try? await Task.sleep(for: wait)) != nil else {
        throw ModelsError(.badSource, "cancelled")
      }
    }
  }

  /// One request: what came is given out also when the connection breaks.
  private func piece(
    _ file: ModelManifest.File, _ place: String, _ offset: inout UInt64,
    _ receive: (ArraySlice<UInt8>) async throws(ModelsError) -> Void
  ) async throws(Trouble) {
    let range = offset > 0 ? "bytes=\(offset)-" : nil
    let response = try await request(place, range: range, file.name)
    var skip = try Self.skipped(response, file, from: offset)
    var buffer: [UInt8] = []
    var body = response.body.makeAsyncIterator()
    var isOver = false
    var broken: Trouble?
    while !isOver {
      do {
        if var bytes = try await body.next() {
          let cut = Int(min(UInt64(bytes.count), skip))
          skip -= UInt64(cut)
          if cut > 0 { bytes.removeFirst(cut) }
          buffer += bytes
        } else {
          isOver = true
        }
      } catch {
        isOver = true
        broken = .broken(file.name, error)
      }
      while buffer.count >= ModelPuller.Limits.pieceBytes || isOver && !buffer.isEmpty {
        let next = buffer.prefix(ModelPuller.Limits.pieceBytes)
        // More than was asked for is a lie; the writer refuses it.
        do throws(ModelsError) { try await receive(next) } catch {
          throw Trouble(error: error, isLasting: true)
        }
        offset += UInt64(next.count)
        buffer.removeFirst(next.count)
      }
    }
    if let broken { throw broken }
  }

  private func request(
    _ place: String, range: String?, _ name: String
  ) async throws(Trouble) -> ClientResponse {
    guard var url = Self.allowed(place) else {
      throw .lie(name, "the mirror is at an unencrypted place")
    }
    for _ in 0...Self.redirects {
      var request = ClientRequest(.get, url)
      request.headers.add("Accept-Encoding", "identity")
      let location: String
      do {
        if let range { request.headers.add(.range, try HTTPFieldValue(range)) }
        let response = try await client.send(request)
        guard response.status.code / 100 == 3, let place = response.headers[.location] else {
          return response
        }
        // Reading the rest of a redirect would keep nothing of use.
        _ = try? await response.body.collect(upTo: 1 << 16)
        location = place
      } catch {
        throw .broken(name, error)
      }
      guard let next = Self.next(location, after: url) else {
        throw .lie(name, "the mirror leads to an unencrypted place")
      }
      url = next
    }
    throw .lie(name, "the mirror redirects in a circle")
  }

  /// How many bytes of the body are before the offset.
  ///
  /// RFC 9110 §14: a server may ignore a range, and must say which one it sends.
  private static func skipped(
    _ response: ClientResponse, _ file: ModelManifest.File, from offset: UInt64
  ) throws(Trouble) -> UInt64 {
    switch response.status.code {
    case 200:
      if let length = response.headers[.contentLength].flatMap({ UInt64($0) }),
        length != file.byteCount
      {
        throw .lie(file.name, "the mirror's file has another size")
      }
      return offset
    case 206:
      guard let range = response.headers["Content-Range"],
        let (first, total) = Self.range(range), first == offset,
        total == nil || total == file.byteCount
      else { throw .lie(file.name, "the mirror sent another range") }
      return 0
    default:
      // 5xx and 429 may pass; anything else will not.
      let text = "the mirror answers with status \(response.status.code)"
      var trouble = Trouble.lie(file.name, text)
      trouble.isLasting = response.status.code / 100 != 5 && response.status.code != 429
      throw trouble
    }
  }

  /// First byte and whole size of `bytes 0-99/1000`; the size is `nil` for `*`.
  static func range(_ text: String) -> (first: UInt64, total: UInt64?)? {
    let parts = text.split(separator: " ")
    guard parts.count == 2, parts[0] == "bytes" else { return nil }
    let sides = parts[1].split(separator: "/", omittingEmptySubsequences: false)
    let ends = sides[0].split(separator: "-").map { UInt64($0) }
    guard sides.count == 2, ends.count == 2, let first = ends[0], let last = ends[1], first <= last
    else { return nil }
    if sides[1] == "*" { return (first, nil) }
    guard let total = UInt64(sides[1]), last < total else { return nil }
    return (first, total)
  }
}
