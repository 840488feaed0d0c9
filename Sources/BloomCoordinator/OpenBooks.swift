package import BloomBase

/// Which answers may still go on: their money is released when no further part can come.
///
/// A machine's last receipt does not end an answer: its gateway may never have got the end, and goes
/// on elsewhere. Nor does a part that was cancelled or lost, and two parts may run at once. So an
/// answer is closed when its gateway says that it has the end, or when its last part has been over
/// for a while.
package struct OpenBooks {
  private struct Book {
    var living = 0
    var closeAt: Instant?
    /// The last receipt of a part that brought the answer to its end.
    var end: Digest?
  }

  /// From the end of the last part to the closing: longer than a gateway waits before the next.
  private static let linger = Duration.seconds(60)
  /// Until an answer whose closing failed is tried again.
  private static let retry = Duration.seconds(5)
  private var books: [AnswerID: Book] = [:]
  private var sweptAt = Instant(nanoseconds: 0)

  /// No part has run yet.
  package init() {}

  /// Whether no answer is open.
  package var isEmpty: Bool { books.isEmpty }

  /// A part begins.
  package mutating func began(_ answer: AnswerID) {
    books[answer, default: Book()].living += 1
    books[answer]?.closeAt = nil
  }

  /// A part is over.
  package mutating func ended(_ answer: AnswerID, now: Instant) {
    guard let book = books[answer] else { return }
    books[answer]?.living = max(0, book.living - 1)
    if book.living <= 1 { books[answer]?.closeAt = now + Self.linger }
  }

  /// A part's last receipt says that the answer is at its end.
  package mutating func brought(toEnd answer: AnswerID, by receipt: Digest) {
    books[answer]?.end = receipt
  }

  /// Its gateway has the part with this last receipt: whether the answer is to be closed now.
  ///
  /// `true` once. Another part that still runs has its own receipt to come: then time closes it.
  package mutating func takeEnd(of answer: AnswerID, _ receipt: Digest) -> Bool {
    guard let book = books[answer], book.living == 0, book.end == receipt else { return false }
    books[answer] = nil
    return true
  }

  /// Answers at their end whose gateways have not said that they have it: taken once.
  ///
  /// - Parameter isWanted: Whether an answer is to be closed now.
  /// - Returns: The answers, in no order.
  package mutating func takeEnds(where isWanted: (AnswerID) -> Bool) -> [AnswerID] {
    let ends = books.compactMap { answer, book in
      book.living == 0 && book.end != nil && isWanted(answer) ? answer : nil
    }
    for answer in ends { books[answer] = nil }
    return ends
  }

  /// An answer that was due could not be closed: its turn comes again.
  package mutating func postponed(_ answer: AnswerID, now: Instant) {
    guard books[answer] == nil else { return }
    var book = Book()
    book.closeAt = now + Self.retry
    books[answer] = book
  }

  /// Answers whose time is over, at most once a second.
  package mutating func takeDue(now: Instant) -> [AnswerID] {
    guard now - sweptAt >= .seconds(1) else { return [] }
    sweptAt = now
    var due: [AnswerID] = []
    for (answer, book) in books {
      guard book.living == 0, let closeAt = book.closeAt, closeAt <= now else { continue }
      due.append(answer)
      books[answer] = nil
    }
    return due
  }
}
