import BloomWire

/// Records are found again whatever the pieces, and each encodes to something that reads as itself.
func fuzz(_ input: [UInt8]) {
  let whole = read([input])
  require(whole == read(pieces(input)), "the pieces change the records")
  for item in whole.compactMap({ $0 }) {
    var again = OuterRecordDecoder()
    var bytes: [UInt8] = []
    item.record.append(attempt: item.attempt, to: &bytes)
    again.append(bytes)
    require((try? again.next()) == item, "a record changes when it is written again")
  }
}

func read(_ pieces: [[UInt8]]) -> [OuterRecordDecoder.Item?] {
  var decoder = OuterRecordDecoder()
  var items: [OuterRecordDecoder.Item?] = []
  for piece in pieces {
    decoder.append(piece)
    while true {
      do {
        guard let item = try decoder.next() else { break }
        items.append(item)
      } catch {
        return items + [nil]
      }
    }
  }
  return items
}
