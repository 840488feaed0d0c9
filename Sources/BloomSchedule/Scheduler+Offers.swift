internal import BloomBase

/// The compact records that decisions read, and how they follow from the nodes.
///
/// Lookups on a decision's way are `mutating` though they change nothing: so the compiler lends the
/// scheduler to them; as plain methods it copies it around each call (6.3.1), a third of a decision.
extension Scheduler {
  /// The offer that a candidate names, if that key is known at that node.
  mutating func find(_ candidate: Candidate) -> Int? {
    find(candidate, Self.hash(candidate, seed))
  }

  /// The same for a caller that knows the candidate's hash.
  mutating func find(_ candidate: Candidate, _ hash: UInt64) -> Int? {
    var probe = offerIndex.probe(hash)
    while let number = offerIndex.next(&probe) {
      if offers[number].has(candidate.key), offers[number].name == candidate.node {
        return number
      }
    }
    return nil
  }

  /// Touches what the lookups of a request will read.
  ///
  /// These reads do not depend on each other, so that the processor waits for all of them at once;
  /// the lookups would wait for one after the other.
  ///
  /// - Parameters:
  ///   - answer: The answer's hash.
  ///   - candidates: The request's.
  /// - Returns: The candidates' hashes.
  mutating func readAhead(
    _ answer: UInt64, _ candidates: UpToFour<Candidate>
  ) -> SIMD4<UInt64> {
    var hashes = SIMD4<UInt64>()
    var guesses = SIMD4<Int>(repeating: -1)
    for index in 0..<candidates.count {
      hashes[index] = Self.hash(candidates[index], seed)
      guesses[index] = offerIndex.guess(hashes[index])
    }
    touched &+= UInt8(truncatingIfNeeded: answerIndex.guess(answer))
    if let next = answers.upcoming {
      touched &+= answers[next].output.rawValue
      if payers[next].rawValue.isEmpty { touched &+= 1 }
    }
    for index in 0..<candidates.count where guesses[index] >= 0 {
      let offer = guesses[index]
      touched &+= offers[offer].keyCount &+ UInt8(truncatingIfNeeded: offers[offer].keys[0])
    }
    return hashes
  }

  /// A candidate's offer; looked up again only if its number has another one now.
  mutating func offer(_ candidate: RequestState.CandidateState) -> Int? {
    let known = Int(candidate.offer)
    if known >= 0, offers[known].has(candidate.candidate.key),
      offers[known].name == candidate.candidate.node
    {
      return known
    }
    return find(candidate.candidate)
  }

  /// A node's offer of a model.
  func offer(of node: Int, model: ModelID) -> Int? {
    served[node].first { histories[$0].model == model }
  }

  /// Adds an offer without keys.
  mutating func addOffer(_ node: Int, _ model: ModelID) -> Int {
    let number = offers.insert(
      OfferState(
        name: profiles[node].node, node: Int32(node), model: Int32(modelNumber(model)),
        sibling: -1))
    let history = OfferHistory(model: model)
    if number < histories.count { histories[number] = history } else { histories.append(history) }
    let first = served[node].first ?? number
    offers[number].sibling = first == number ? Int32(number) : offers[first].sibling
    offers[first].sibling = Int32(number)
    offers[number].nodeRunning = offers[first].nodeRunning
    served[node].append(number)
    use(model: Int(offers[number].model))
    return number
  }

  /// Forgets an offer that nobody works for or waits for.
  mutating func removeOffer(_ number: Int, of node: Int) {
    invariant(offers[number].running == 0, "an offer is forgotten while it is used")
    setKeys(number, [])
    served[node].removeAll { $0 == number }
    if let before = served[node].first(where: { Int(offers[$0].sibling) == number }) {
      offers[before].sibling = offers[number].sibling
    }
    release(model: Int(offers[number].model))
    offers.remove(number)
  }

  /// Gives an offer its keys: the worker's present one and the one before.
  mutating func setKeys(_ number: Int, _ keys: [KeyID]) {
    let name = offers[number].name
    for place in 0..<Int(offers[number].keyCount) {
      let old = Candidate(node: name, key: KeyID(offers[number].keys[place]))
      offerIndex.remove(Self.hash(old, seed), number)
    }
    offers[number].keyCount = 0
    for key in keys.prefix(2) where !offers[number].has(key) {
      offers[number].keys[Int(offers[number].keyCount)] = key.rawValue
      offers[number].keyCount += 1
      offerIndex.insert(Self.hash(Candidate(node: name, key: key), seed), number)
    }
  }

  /// Writes to a node's offers what belongs to the node.
  mutating func refresh(_ node: Int) {
    let reliability = Float(nodes[node].reliability.mean)
    let score = Float(nodes[node].score)
    for offer in served[node] {
      offers[offer].link = nodes[node].link
      offers[offer].tier = profiles[node].tier
      offers[offer].isAttested = profiles[node].isAttested
      offers[offer].reliability = reliability
      offers[offer].score = score
      refreshRates(offer)
    }
  }

  /// Writes to an offer what was measured.
  mutating func refreshRates(_ offer: Int) {
    let roundTrip = Double(nodes[Int(offers[offer].node)].roundTrip.wholeNanoseconds) / 1e9
    offers[offer].delay = Float(roundTrip + histories[offer].rates.overheadSeconds)
    offers[offer].prefillRate = Float(histories[offer].rates.prefillRate)
    offers[offer].decodeRate = nextDecodeRate(offer)
  }

  /// Tokens a second of one more stream.
  mutating func nextDecodeRate(_ offer: Int) -> Float {
    let streams = min(Int(offers[offer].nodeRunning) + 1, max(Int(offers[offer].slots), 1))
    return Float(histories[offer].rates.decodeRate(streams: streams))
  }

  /// Counts an attempt at all offers of the node: they share the machine.
  mutating func countRunning(_ offer: Int, _ change: Int) {
    offers[offer].running = UInt16(clamping: Int(offers[offer].running) + change)
    var place = offer
    repeat {
      offers[place].nodeRunning = UInt16(clamping: Int(offers[place].nodeRunning) + change)
      // What was learned is at hand when work ends; when it begins the decision need not wait for it.
      offers[place].decodeRate = change < 0 ? nextDecodeRate(place) : 0
      place = Int(offers[place].sibling)
    } while place != offer
  }

  /// The attempts that occupy a slot of any of a node's models.
  func running(_ node: Int) -> [Int] {
    var found: [Int] = []
    for offer in served[node] {
      var place = Int(offers[offer].firstAttempt)
      while place >= 0 {
        found.append(place)
        place = Int(attempts[place].next)
      }
    }
    return found
  }

  /// Puts an attempt at the head of its offer's list.
  mutating func link(_ attempt: Int) {
    let offer = attempts[attempt].offer
    let head = offers[offer].firstAttempt
    attempts[attempt].next = head
    if head >= 0 { attempts[Int(head)].previous = Int32(attempt) }
    offers[offer].firstAttempt = Int32(attempt)
  }

  /// Takes an attempt out of its offer's list.
  mutating func unlink(_ attempt: Int) {
    let next = attempts[attempt].next
    let previous = attempts[attempt].previous
    if next >= 0 { attempts[Int(next)].previous = previous }
    if previous >= 0 {
      attempts[Int(previous)].next = next
    } else {
      offers[attempts[attempt].offer].firstAttempt = next
    }
  }

  /// Both names are digests; the seed keeps nodes from choosing keys that meet in one place.
  private static func hash(_ candidate: Candidate, _ seed: UInt64) -> UInt64 {
    // In memory order: the hash only says where a number lies, nothing that is decided depends on it.
    let node = unsafe withUnsafeBytes(of: candidate.node) {
      unsafe $0.loadUnaligned(as: UInt64.self)
    }
    return ((node ^ candidate.key.rawValue ^ seed) &* 0x9e37_79b9_7f4a_7c15).byteSwapped
  }
}
