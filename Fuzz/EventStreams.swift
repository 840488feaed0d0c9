import BloomHTTP

/// Event streams are read the same however they are cut, and events written again are read again.
func fuzz(_ input: [UInt8]) {
  let whole = read([input])
  require(whole == read(pieces(input)), "the cut changes an event")
  var output: [UInt8] = []
  for event in whole { SSEEncoder.append(data: event.data.span, to: &output) }
  require(read([output]).map(\.data) == whole.map(\.data), "an event changed")
}

private func read(_ pieces: [[UInt8]]) -> [SSEEvent] {
  var parser = SSEParser()
  var events: [SSEEvent] = []
  for piece in pieces {
    var offset = 0
    while let event = try? parser.next(piece.span, at: &offset) { events.append(event) }
  }
  return events
}
