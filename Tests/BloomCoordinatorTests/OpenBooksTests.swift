import BloomBase
import Testing

@testable import BloomCoordinator

@Suite struct OpenBooksTests {
  private func at(_ seconds: Int) -> Instant {
    Instant(nanoseconds: UInt64(1_000 + seconds) * 1_000_000_000)
  }

  @Test func `an answer that its last receipt closed is let go when its part ends`() {
    var books = OpenBooks()
    let answer = newAnswer()
    books.began(answer)
    books.closed(answer)
    #expect(books.takeDue(now: at(0)) == [])
    #expect(!books.isEmpty, "its part still runs")
    books.ended(answer, now: at(1))
    #expect(books.takeDue(now: at(2)) == [])
    #expect(books.isEmpty)
  }

  @Test func `an answer that could not be closed is due again a minute later`() {
    var books = OpenBooks()
    let answer = newAnswer()
    books.began(answer)
    books.ended(answer, now: at(1))
    #expect(books.takeDue(now: at(61)) == [answer])
    books.postponed(answer, now: at(61))
    #expect(!books.isEmpty)
    #expect(books.takeDue(now: at(120)) == [])
    #expect(books.takeDue(now: at(121)) == [answer])
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
