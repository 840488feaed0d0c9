internal import BloomBase
internal import BloomGateway

/// Follows changes of the list of keys and keeps what each used, while a gateway runs.
struct KeyKeeper: Sendable {
  let files: GatewayFiles
  let own: AccessKey
  let keys: AccessKeys
  let log: Log

  /// Runs until cancelled; a list that cannot be read leaves the keys as they are.
  func run() async {
    var known = try? files.book()  // it was read a moment ago
    var kept = keys.usage
    while true {
      do { try await Task.sleep(for: .seconds(2)) } catch { return }
      do {
        let book = try files.book()
        if book != known {
          keys.replace([own] + book.keys)
          known = book
        }
      } catch {
        log.warning("the list of keys cannot be read", ["reason": .error(error)])
      }
      let usage = keys.usage
      if usage != kept {
        keep()
        kept = usage
      }
    }
  }

  /// Writes what was used; a full disk loses the day's sums at a restart, nothing else.
  func keep() {
    do {
      if !keys.usage.isEmpty { try files.write(keys.usage) }
    } catch {
      log.warning("what keys used cannot be kept", ["reason": .error(error)])
    }
  }
}
