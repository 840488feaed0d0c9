internal import BloomBase
internal import BloomLedger

/// Which row holds which open answer: numbers that count up, so that rows lie in order of time.
struct AnswerNumbers: Sendable {
  private var numbers: [AnswerID: Int64] = [:]
  private var last: Int64 = 0

  /// No open answers.
  init() {}

  /// Notes a row that was read; rows come in order.
  mutating func add(_ number: Int64, _ id: AnswerID) {
    numbers[id] = number
    last = number
  }

  /// An answer's row, a new one at the end when it has none.
  mutating func number(of id: AnswerID) -> Int64 {
    if let known = numbers[id] { return known }
    last += 1
    numbers[id] = last
    return last
  }

  /// Forgets an answer and gives its row; `nil` when it never had one.
  mutating func remove(_ id: AnswerID) -> Int64? { numbers.removeValue(forKey: id) }
}
