import BloomHTTP

/// Forms are read the same however they are cut, and no content is made up.
func fuzz(_ input: [UInt8]) {
  let whole = read([input])
  let cut = read(pieces(input))
  require(whole.error == cut.error, "the cut decides whether a form is refused")
  if whole.error == nil { require(whole == cut, "the cut changes a form") }
  require(whole.content.count <= input.count, "more content than input")
}

private struct Reading: Equatable {
  var heads: [MultipartHead] = []
  var content: [UInt8] = []
  var error: HTTPError?
}

private func read(_ pieces: [[UInt8]]) -> Reading {
  var reading = Reading()
  do throws(HTTPError) {
    var parser = try MultipartParser(contentType: "multipart/form-data; boundary=b0")
    for piece in pieces {
      for event in try parser.feed(piece.span) {
        switch event {
        case .part(let head): reading.heads.append(head)
        case .data(let bytes): reading.content += bytes
        case .partEnd, .end: break
        }
      }
    }
    try parser.finish()
  } catch { reading.error = error }
  return reading
}
