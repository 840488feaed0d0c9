import BloomHTTP

/// Frames are read the same however they are cut, and messages written again are read again.
func fuzz(_ input: [UInt8]) {
  for role in [WebSocketRole.server, .client] {
    let whole = read([input], role)
    let cut = read(pieces(input), role)
    require(whole == cut, "the cut changes a message")
    for case .message(let message) in whole.events {
      var output: [UInt8] = []
      WebSocketWriter.append(message, mask: role == .server ? 0x1234_5678 : nil, to: &output)
      require(read([output], role).events == [.message(message)], "a message changed")
    }
  }
}

private struct Reading: Equatable {
  var events: [WebSocketFrameParser.Event] = []
  var error: WebSocketError?
}

private func read(_ pieces: [[UInt8]], _ role: WebSocketRole) -> Reading {
  var parser = WebSocketFrameParser(role: role)
  var reading = Reading()
  do throws(WebSocketError) {
    for piece in pieces {
      var offset = 0
      while let event = try parser.next(piece.span, at: &offset) { reading.events.append(event) }
      require(offset == piece.count, "bytes were left")
    }
  } catch { reading.error = error }
  return reading
}
