import BloomHTTP

/// Responses are read the same however they are cut.
func fuzz(_ input: [UInt8]) {
  let whole = read([input])
  let cut = read(pieces(input))
  require(whole.error == cut.error, "the cut decides whether a response is refused")
  if whole.error == nil { require(whole == cut, "the cut changes a response") }
}

private struct Reading: Equatable {
  var heads: [ResponseHead] = []
  var body: [UInt8] = []
  var error: HTTPError?
}

private func read(_ pieces: [[UInt8]]) -> Reading {
  var parser = ResponseParser()
  _ = parser.expect(.get)
  var reading = Reading()
  do throws(HTTPError) {
    for piece in pieces {
      var offset = 0
      while let event = try parser.next(piece.span, at: &offset) {
        switch event {
        case .interim(let head), .head(let head): reading.heads.append(head)
        case .body(let range): reading.body += piece[range]
        case .end: break
        }
      }
    }
    _ = try parser.finish()
  } catch { reading.error = error }
  return reading
}
