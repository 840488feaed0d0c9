package import BloomBase

/// Which answers may still go on: their money is released when no further part can come.
///
/// A part that was cancelled or lost does not end an answer: the gateway may go on elsewhere, and
/// two parts may run at once. So an answer is closed when its last part has ended for a while.
package struct OpenBooks {
  private struct Book {
    var living = 0
    /// Parts that ever began here.
    var count = 0
    var closeAt: Instant?
    /// Its last receipt closed it in the ledger: there is nothing left to close.
    var isClosed = false
  }

  /// From the end of the last part to the closing: longer than a gateway waits before the next.
  private static let linger = Duration.seconds(60)
  private var books: [AnswerID: Book] = [:]
  private var sweptAt = Instant(nanoseconds: 0)

  /// No part has run yet.
  package init() {}

  /// Whether no answer is open.
  package var isEmpty: Bool { books.isEmpty }

  /// Parts of an answer that run now.
  package func living(_ answer: AnswerID) -> Int { books[answer]?.living ?? 0 }

  /// Whether one part only was ever run for an answer.
  package func isSingle(_ answer: AnswerID) -> Bool { books[answer]?.count == 1 }

  /// A part begins.
  package mutating func began(_ answer: AnswerID) {
    books[answer, default: Book()].living += 1
    books[answer]?.count += 1
    books[answer]?.closeAt = nil
    books[answer]?.isClosed = false
  }

  /// A part is over.
  package mutating func ended(_ answer: AnswerID, now: Instant) {
    guard let book = books[answer] else { return }
    books[answer]?.living = max(0, book.living - 1)
    if book.living <= 1, !book.isClosed { books[answer]?.closeAt = now + Self.linger }
  }

  /// The answer was closed by its last receipt, mostly before its last part ends here.
  package mutating func closed(_ answer: AnswerID) {
    books[answer]?.isClosed = true
    books[answer]?.closeAt = nil
  }

  /// An answer that was due could not be closed: its turn comes again.
  package mutating func postponed(_ answer: AnswerID, now: Instant) {
    guard books[answer] == nil else { return }
    var book = Book()
    book.closeAt = now + Self.linger
    books[answer] = book
  }

  /// Answers whose time is over, at most once a second.
  package mutating func takeDue(now: Instant) -> [AnswerID] {
    guard now - sweptAt >= .seconds(1) else { return [] }
    sweptAt = now
    var due: [AnswerID] = []
    for (answer, book) in books where book.living == 0 {
      guard let closeAt = book.closeAt else {
        books[answer] = nil
        continue
      }
      guard closeAt <= now else { continue }
      due.append(answer)
      books[answer] = nil
    }
    return due
  }
}
