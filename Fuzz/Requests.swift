import BloomHTTP

/// Requests are read the same however they are cut, and no head passes its limits.
func fuzz(_ input: [UInt8]) {
  let whole = read([input])
  let cut = read(pieces(input))
  require(whole.error == cut.error, "the cut decides whether a request is refused")
  if whole.error == nil { require(whole == cut, "the cut changes a request") }
}

private struct Reading: Equatable {
  var heads: [RequestHead] = []
  var body: [UInt8] = []
  var ends = 0
  var error: HTTPError?
}

private func read(_ pieces: [[UInt8]]) -> Reading {
  var limits = HTTPLimits()
  limits.maxBodyBytes = 1 << 20
  var parser = RequestParser(limits: limits)
  var reading = Reading()
  do throws(HTTPError) {
    for piece in pieces {
      var offset = 0
      while let event = try parser.next(piece.span, at: &offset) {
        switch event {
        case .head(let head):
          require(head.fields.count <= limits.maxFields, "too many fields")
          require(head.version == .http10 || head.fields.contains(.host), "no host")
          _ = try? head.target.segments()
          _ = try? head.target.queryItems()
          reading.heads.append(head)
        case .body(let range):
          require(!range.isEmpty, "an empty body event")
          reading.body += piece[range]
        case .end: reading.ends += 1
        }
      }
      require(offset == piece.count, "bytes were left")
    }
  } catch { reading.error = error }
  return reading
}
