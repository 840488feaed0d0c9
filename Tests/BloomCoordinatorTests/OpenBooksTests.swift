import BloomBase
import BloomCrypto
import Testing

@testable import BloomCoordinator

@Suite struct OpenBooksTests {
  private func at(_ seconds: Int) -> Instant {
    Instant(nanoseconds: UInt64(1_000 + seconds) * 1_000_000_000)
  }

  @Test func `an answer is closed once its gateway has the end`() {
    var books = OpenBooks()
    let answer = newAnswer()
    let (other, last) = (SHA256.digest([1]), SHA256.digest([2]))
    books.began(answer)
    books.brought(toEnd: answer, by: last)
    let early = books.takeEnd(of: answer, last)
    #expect(!early, "its part still runs")
    books.ended(answer, now: at(1))
    let taken = [other, last, last].map { books.takeEnd(of: answer, $0) }
    #expect(taken == [false, true, false])
    #expect(books.isEmpty)
  }

  @Test func `an answer whose gateway never says that it has the end is closed a minute later`() {
    var books = OpenBooks()
    let answer = newAnswer()
    books.began(answer)
    books.brought(toEnd: answer, by: SHA256.digest([2]))
    books.ended(answer, now: at(1))
    #expect(books.takeDue(now: at(60)) == [])
    #expect(books.takeDue(now: at(61)) == [answer])
    #expect(books.isEmpty)
  }

  @Test func `answers at their end are closed early for whoever needs their money`() {
    var books = OpenBooks()
    let (atEnd, running, unfinished) = (newAnswer(), newAnswer(), newAnswer())
    for answer in [atEnd, running, unfinished] { books.began(answer) }
    for answer in [atEnd, running] { books.brought(toEnd: answer, by: SHA256.digest([2])) }
    for answer in [atEnd, unfinished] { books.ended(answer, now: at(1)) }
    let taken = [
      books.takeEnds { $0 != atEnd }, books.takeEnds { _ in true }, books.takeEnds { _ in true },
    ]
    #expect(taken == [[], [atEnd], []])
  }

  @Test func `an answer that could not be closed is due again five seconds later`() {
    var books = OpenBooks()
    let answer = newAnswer()
    books.began(answer)
    books.ended(answer, now: at(1))
    #expect(books.takeDue(now: at(61)) == [answer])
    books.postponed(answer, now: at(61))
    #expect(!books.isEmpty)
    #expect(books.takeDue(now: at(65)) == [])
    #expect(books.takeDue(now: at(66)) == [answer])
    #expect(books.isEmpty)
  }

  @Test func `an answer without a last receipt is closed a minute after its last part`() {
    var books = OpenBooks()
    let answer = newAnswer()
    books.began(answer)
    books.began(answer)
    books.ended(answer, now: at(1))
    books.ended(answer, now: at(2))
    #expect(books.takeDue(now: at(61)) == [])
    #expect(books.takeDue(now: at(62)) == [answer])
    #expect(books.isEmpty)
  }
}
