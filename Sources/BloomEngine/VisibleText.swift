/// Turns token bytes into the text a reader may see: whole characters, nothing of a stop text.
///
/// A pure function of the bytes fed so far, in whatever pieces: what was returned in all is the
/// longest prefix that can neither be cut inside a character nor become part of a stop text.
public struct VisibleText: Sendable {
  private let stops: [[UInt8]]
  private var held: [UInt8] = []
  /// Whether a stop text was met; nothing more becomes visible then.
  public private(set) var isStopped = false
  /// The stop text that was met, as its place in the list; the first listed of those that begin
  /// at the same place.
  public private(set) var metStop: Int?

  /// Creates the filter.
  ///
  /// - Parameter stops: Texts that end the answer.
  public init(stops: [String]) { self.stops = stops.map { Array($0.utf8) } }

  /// Takes the bytes of the next token.
  ///
  /// - Returns: The bytes that became visible: whole UTF-8 characters, never part of a stop text.
  public mutating func feed(_ bytes: some Sequence<UInt8>) -> [UInt8] {
    guard !isStopped else { return [] }
    held.append(contentsOf: bytes)
    if let (start, stop) = firstStop() {
      isStopped = true
      metStop = stop
      let shown = Array(held[..<start])
      held = []
      return shown
    }
    var end = held.count - longestStopBeginning()
    end = Self.wholeCharacters(held, upTo: end)
    let shown = Array(held[..<end])
    held.removeFirst(end)
    return shown
  }

  /// Ends the text.
  ///
  /// - Returns: What was held back: text that did not become a stop text after all. An incomplete
  ///   character at the end stays hidden.
  public mutating func finish() -> [UInt8] {
    guard !isStopped else { return [] }
    isStopped = true
    let shown = Array(held[..<Self.wholeCharacters(held, upTo: held.count)])
    held = []
    return shown
  }

  private func firstStop() -> (start: Int, stop: Int)? {
    var best: (start: Int, stop: Int)?
    for (index, stop) in stops.enumerated() where stop.count <= held.count {
      for start in 0...(held.count - stop.count) {
        if let best, start >= best.start { break }
        if held[start..<(start + stop.count)].elementsEqual(stop) {
          best = (start, index)
          break
        }
      }
    }
    return best
  }

  private func longestStopBeginning() -> Int {
    var longest = 0
    for stop in stops {
      var length = min(stop.count - 1, held.count)
      while length > longest {
        if held.suffix(length).elementsEqual(stop.prefix(length)) { longest = length }
        length -= 1
      }
    }
    return longest
  }

  /// The end of the last whole character within `bytes[..<end]`; invalid bytes count as whole.
  static func wholeCharacters(_ bytes: [UInt8], upTo end: Int) -> Int {
    var back = 1
    while back <= 3, back <= end {
      let byte = bytes[end - back]
      if byte & 0xc0 != 0x80 {
        let needed = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1
        return needed > back ? end - back : end
      }
      back += 1
    }
    return end
  }
}
