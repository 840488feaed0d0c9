import BloomBase
import BloomClient
import Testing

@Suite struct AnswerStateMachineTests {
  let a = NodeID(Digest.zero)
  let start = Instant(nanoseconds: 0)

  func at(_ milliseconds: Int) -> Instant { start + .milliseconds(milliseconds) }

  func machine(choices: Int = 1, partsMax: Int = 8) -> AnswerStateMachine {
    AnswerStateMachine(choices: choices, partsMax: partsMax, timeouts: .init(), now: start)
  }

  @Test func `an undisturbed answer is delivered and finished once`() {
    var answer = machine()
    #expect(
      answer.begin(now: start) == [.startPart(0, resume: [ChoiceProgress()], avoiding: [])])
    _ = answer.partAccepted(0, by: a, now: at(1))
    #expect(
      answer.frameArrived(0, choice: 0, tokens: [1, 2], endsChoice: false, now: at(2)) == [.deliver]
    )
    #expect(
      answer.frameArrived(0, choice: 0, tokens: [], endsChoice: true, now: at(3))
        == [.deliver, .finish])
    #expect(answer.partFailed(0, isRetriable: true, code: "late", now: at(4)).isEmpty)
    #expect(answer.nextDeadline == nil)
  }

  @Test func `a dead machine's answer goes on elsewhere from the delivered tokens`() {
    var answer = machine()
    _ = answer.begin(now: start)
    _ = answer.partAccepted(0, by: a, now: at(1))
    _ = answer.frameArrived(0, choice: 0, tokens: [7, 8], endsChoice: false, now: at(2))
    #expect(
      answer.partFailed(0, isRetriable: true, code: "gone", now: at(3))
        == [.startPart(1, resume: [ChoiceProgress(tokens: [7, 8])], avoiding: [a])])
    #expect(
      answer.frameArrived(0, choice: 0, tokens: [9], endsChoice: false, now: at(4)).isEmpty,
      "a late frame of the dead part is not shown")
    #expect(
      answer.frameArrived(1, choice: 0, tokens: [9], endsChoice: false, now: at(5)) == [.deliver])
    #expect(answer.progress[0].tokens == [7, 8, 9])
  }

  @Test func `a silent machine gets a second part beside it and the first new token wins`() {
    for firstWins in [true, false] {
      var answer = machine()
      _ = answer.begin(now: start)
      _ = answer.partAccepted(0, by: a, now: at(0))
      #expect(answer.tick(now: at(349)).isEmpty)
      #expect(
        answer.tick(now: at(350))
          == [.startPart(1, resume: [ChoiceProgress()], avoiding: [a])])
      #expect(answer.tick(now: at(400)).isEmpty, "one second part, not one for each tick")
      let (winner, loser) = firstWins ? (0, 1) : (1, 0)
      #expect(
        answer.frameArrived(winner, choice: 0, tokens: [5], endsChoice: false, now: at(450))
          == [.deliver, .cancelPart(loser)])
      #expect(
        answer.frameArrived(loser, choice: 0, tokens: [5], endsChoice: false, now: at(451)).isEmpty)
      #expect(answer.progress[0].tokens == [5])
    }
  }

  @Test func `signs of life through a long prefill raise no alarm`() {
    var answer = machine()
    _ = answer.begin(now: start)
    _ = answer.partAccepted(0, by: a, now: at(0))
    for time in stride(from: 100, through: 5000, by: 100) {
      _ = answer.partAlive(0, now: at(time))
      #expect(answer.tick(now: at(time + 50)).isEmpty)
    }
  }

  @Test func `a stale second part may not extend the answer`() {
    var answer = machine(choices: 2)
    _ = answer.begin(now: start)
    _ = answer.partAccepted(0, by: a, now: at(0))
    _ = answer.tick(now: at(350))
    #expect(
      answer.frameArrived(0, choice: 1, tokens: [1], endsChoice: false, now: at(360))
        == [.deliver, .cancelPart(1)])
    #expect(
      answer.frameArrived(1, choice: 0, tokens: [2], endsChoice: false, now: at(361)).isEmpty)
    #expect(answer.progress.map(\.tokens) == [[], [1]])
  }

  @Test func `nothing fits any more: an error within two seconds`() {
    var answer = machine()
    _ = answer.begin(now: start)
    var effects = answer.noCandidates(0, isReturning: false, now: at(1))
    var number = 1
    for time in stride(from: 101, through: 2100, by: 100) where effects.last != .fail(.noCandidates)
    {
      effects = answer.tick(now: at(time))
      if case .startPart(let part, _, _)? = effects.last {
        number = part
        _ = answer.noCandidates(number, isReturning: false, now: at(time))
      }
      if case .fail? = effects.last { break }
    }
    let isEnded = effects.last == .fail(.noCandidates) || effects.last == .fail(.tooManyParts)
    #expect(isEnded)
  }

  @Test func `a refusal of the request itself is not tried elsewhere`() {
    var answer = machine()
    _ = answer.begin(now: start)
    #expect(
      answer.partFailed(0, isRetriable: false, code: "bad-request", now: at(5))
        == [.fail(.refused(code: "bad-request"))])
  }

  @Test func `any interleaving of parts shows each token once and in order`() {
    for seed in 0..<300 as Range<UInt64> {
      var generator = SeededGenerator(seed: seed)
      var answer = machine(partsMax: 1000)
      let truth = (0..<40).map { Int32($0) }
      var cursors: [Int: Int] = [:]
      var shown: [Int32] = []
      var time = 0
      func apply(_ effects: [AnswerStateMachine.Effect]) {
        for effect in effects {
          switch effect {
          case .startPart(let part, let resume, _):
            cursors[part] = resume[0].tokens.count
            apply(answer.partAccepted(part, by: a, now: at(time)))
          case .cancelPart(let part): if Bool.random(using: &generator) { cursors[part] = nil }
          case .deliver, .finish: break
          case .fail(let failure): Issue.record("seed \(seed): \(failure)")
          }
        }
      }
      apply(answer.begin(now: at(0)))
      var steps = 0
      while shown.count < truth.count, steps < 5000 {
        steps += 1
        time += Int.random(in: 0...120, using: &generator)
        switch Int.random(in: 0..<10, using: &generator) {
        case 0:
          if let part = cursors.keys.sorted().randomElement(using: &generator) {
            cursors[part] = nil
            apply(answer.partFailed(part, isRetriable: true, code: "x", now: at(time)))
          }
        case 1, 2:
          apply(answer.tick(now: at(time)))
        default:
          guard let part = cursors.keys.sorted().randomElement(using: &generator),
            let from = cursors[part], from < truth.count
          else { continue }
          let count = min(truth.count - from, Int.random(in: 1...3, using: &generator))
          let tokens = Array(truth[from..<from + count])
          cursors[part] = from + count
          let effects = answer.frameArrived(
            part, choice: 0, tokens: tokens, endsChoice: false, now: at(time))
          if effects.first == .deliver { shown += tokens }
          apply(effects)
        }
      }
      #expect(shown == truth, "seed \(seed)")
    }
  }
}
