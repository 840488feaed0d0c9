import BloomBase
import BloomClient
import BloomCrypto
import Testing

@Suite struct AnswerStateMachineTests {
  let a = NodeID(Digest.zero)
  let b = NodeID(SHA256.digest([2]))
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

  @Test func `a coordinator that is restarted is waited for once a machine had begun`() {
    for hasBegun in [true, false] {
      var answer = machine()
      _ = answer.begin(now: start)
      if hasBegun { _ = answer.partAccepted(0, by: a, now: at(1)) }
      var number = 0
      var effects = answer.partFailed(
        0, isRetriable: true, isReturning: true, code: "connection_lost", now: at(10))
      var time = 10
      while time < 30_000 {
        for case .startPart(let part, _, _) in effects { number = part }
        if case .fail? = effects.last { break }
        _ = answer.noCandidates(number, isReturning: true, now: at(time))
        time += 100
        effects = answer.tick(now: at(time))
      }
      #expect(effects.last == .fail(.noCandidates))
      #expect(hasBegun ? (20_000...20_300).contains(time) : (2_000...2_300).contains(time))
    }
  }

  @Test func `one search that sees nobody does not end the wait for who is coming back`() {
    // How often a search sees somebody coming back, and when the answer is given up.
    for (seen, end) in [(5, 20_000...20_300), (Int.max, 2_000...2_300)] {
      var answer = machine()
      _ = answer.begin(now: start)
      _ = answer.partAccepted(0, by: a, now: at(1))
      var effects = answer.partFailed(0, isRetriable: true, code: "connection_lost", now: at(100))
      var time = 100
      var searches = 0
      while time < 60_000, effects.last != .fail(.noCandidates) {
        if case .startPart(let part, _, _)? = effects.last {
          _ = answer.noCandidates(part, isReturning: searches % seen == 0, now: at(time))
          searches += 1
        }
        time += 50
        effects = answer.tick(now: at(time))
      }
      #expect(end.contains(time), "\(time)")
    }
  }

  @Test func `the only machine starts its engine again: the answer waits for it`() {
    for isReturning in [true, false] {
      var answer = machine()
      _ = answer.begin(now: start)
      _ = answer.partAccepted(0, by: a, now: at(1))
      var effects = answer.partFailed(
        0, isRetriable: true, isReturning: isReturning, code: "engine_failed", now: at(100))
      var time = 100
      while time < 60_000, effects.last != .fail(.noCandidates) {
        // The directory does not have it meanwhile, which is no news of it.
        if case .startPart(let part, _, _)? = effects.last {
          _ = answer.noCandidates(part, isReturning: false, now: at(time))
        }
        time += 50
        effects = answer.tick(now: at(time))
      }
      #expect((isReturning ? 20_000...20_300 : 2_000...2_300).contains(time), "\(time)")
    }
  }

  @Test func `a coordinator that hangs does not hold the answer for ever`() {
    var answer = machine()
    var effects = answer.begin(now: start)
    var time = 0
    while time < 60_000 {
      if case .fail? = effects.last { break }
      time += 50
      effects = answer.tick(now: at(time))
    }
    #expect(effects.last == .fail(.noCandidates))
    #expect(time <= 5_000)
  }

  @Test func `the coordinator's word of silence starts a second part at once, a sign ends it`() {
    var answer = machine()
    _ = answer.begin(now: start)
    _ = answer.partAccepted(0, by: a, now: at(0))
    #expect(
      answer.partSuspected(0, now: at(120)) == [
        .startPart(1, resume: [ChoiceProgress()], avoiding: [a])
      ])
    #expect(answer.partSuspected(0, now: at(130)).isEmpty, "one beside it is enough")
    var calm = machine()
    _ = calm.begin(now: start)
    _ = calm.partAccepted(0, by: a, now: at(0))
    _ = calm.partAlive(0, now: at(100))
    #expect(calm.tick(now: at(200)).isEmpty)
  }

  @Test func `a second part that nobody takes is tried again while the first is silent`() {
    var answer = machine()
    _ = answer.begin(now: start)
    _ = answer.partAccepted(0, by: a, now: at(0))
    _ = answer.tick(now: at(350))
    #expect(answer.noCandidates(1, isReturning: true, now: at(360)).isEmpty)
    #expect(answer.tick(now: at(400)).isEmpty, "not at once")
    #expect(
      answer.tick(now: at(460)) == [.startPart(2, resume: [ChoiceProgress()], avoiding: [a])])
  }

  @Test func `a second part that fails is followed by a third while the first is silent`() {
    var answer = machine()
    _ = answer.begin(now: start)
    _ = answer.partAccepted(0, by: a, now: at(0))
    _ = answer.tick(now: at(350))
    _ = answer.partAccepted(1, by: b, now: at(360))
    #expect(answer.partFailed(1, isRetriable: true, code: "node_lost", now: at(400)).isEmpty)
    #expect(answer.tick(now: at(410)).isEmpty, "not at once")
    #expect(
      answer.tick(now: at(500)) == [.startPart(2, resume: [ChoiceProgress()], avoiding: [a, b])])
  }

  @Test func `beside a machine that beats over a long prompt another is looked for once in 5 s`() {
    var answer = machine()
    _ = answer.begin(now: start)
    _ = answer.partAccepted(0, by: a, now: at(0))
    var searches: [Int] = []
    for time in stride(from: 100, through: 80_000, by: 100) {
      _ = answer.partAlive(0, now: at(time))
      if case .startPart(let part, _, _)? = answer.tick(now: at(time)).last {
        searches.append(time)
        _ = answer.noCandidates(part, isReturning: true, isUnderWay: true, now: at(time))
      }
    }
    // More often, and the coordinator would take the connection for lost and stop the machine.
    #expect(searches == [60_000, 65_000, 70_000, 75_000, 80_000])
    // Once it is silent, as often as ever.
    #expect(answer.tick(now: at(80_350)).isEmpty == false)
    _ = answer.noCandidates(6, isReturning: true, now: at(80_360))
    #expect(answer.tick(now: at(80_460)).isEmpty == false)
  }

  @Test func `an answer that a machine works on unheard is waited for`() {
    for isUnderWay in [true, false] {
      var answer = machine()
      var effects = answer.begin(now: start)
      var time = 0
      while time < 60_000, effects.last != .fail(.noCandidates) {
        if case .startPart(let part, _, _)? = effects.last {
          effects = answer.noCandidates(
            part, isReturning: true, isUnderWay: isUnderWay && part > 0, now: at(time))
        }
        time += 50
        effects = answer.tick(now: at(time))
      }
      #expect(isUnderWay ? (20_000...20_200).contains(time) : (2_000...2_200).contains(time))
    }
  }

  @Test func `a silent machine is kept until another is taken, for its coordinator may hear it`() {
    for isHeardAgain in [true, false] {
      var answer = machine()
      var effects = answer.begin(now: start)
      _ = answer.partAccepted(0, by: a, now: at(0))
      _ = answer.frameArrived(0, choice: 0, tokens: [1], endsChoice: false, now: at(10))
      var time = 10
      while time < 60_000, effects.last != .fail(.noCandidates) {
        time += 50
        effects = answer.tick(now: at(time))
        if case .startPart(let part, _, let avoided)? = effects.last {
          #expect(avoided.contains(a))
          #expect(answer.noCandidates(part, isReturning: true, now: at(time)).isEmpty)
        }
        if effects.contains(.cancelPart(0)) { break }
        if isHeardAgain, time > 15_000 { break }
      }
      if isHeardAgain {
        #expect(!effects.contains(.cancelPart(0)))
        #expect(
          answer.frameArrived(0, choice: 0, tokens: [2], endsChoice: true, now: at(time))
            == [.deliver, .finish])
      } else {
        #expect(effects == [.cancelPart(0), .fail(.noCandidates)])
        #expect((22_000...22_200).contains(time))
      }
    }
  }

  @Test func `a dead machine is told to stop once another has the answer`() {
    var answer = machine()
    _ = answer.begin(now: start)
    _ = answer.partAccepted(0, by: a, now: at(0))
    #expect(answer.tick(now: at(350)).count == 1)
    let other = NodeID(Digest([UInt8](repeating: 1, count: 32)) ?? .zero)
    _ = answer.partAccepted(1, by: other, now: at(1900))
    #expect(answer.tick(now: at(1999)).isEmpty)
    #expect(answer.tick(now: at(2000)) == [.cancelPart(0)])
    #expect(
      answer.frameArrived(1, choice: 0, tokens: [1], endsChoice: true, now: at(2100))
        == [.deliver, .finish])
  }

  @Test func `what a second part is refused does not end the first`() {
    var answer = machine()
    _ = answer.begin(now: start)
    _ = answer.partAccepted(0, by: a, now: at(0))
    _ = answer.tick(now: at(350))
    #expect(answer.partFailed(1, isRetriable: false, code: "no_credit", now: at(360)).isEmpty)
    #expect(
      answer.frameArrived(0, choice: 0, tokens: [1], endsChoice: true, now: at(370))
        == [.deliver, .finish])
  }

  @Test func `a link that loses two in a hundred signs raises no alarm in a five second prefill`() {
    for seed in 0..<200 as Range<UInt64> {
      var generator = SeededGenerator(seed: seed)
      var answer = machine()
      _ = answer.begin(now: start)
      _ = answer.partAccepted(0, by: a, now: at(0))
      // A lost segment is sent again after 200 ms, and what follows waits behind it.
      var arrivals: [Int] = []
      for sent in stride(from: 100, through: 5_000, by: 100) {
        let isLost = Int.random(in: 0..<100, using: &generator) < 2
        arrivals.append(max(arrivals.last ?? 0, sent + (isLost ? 200 : 5)))
      }
      for time in stride(from: 10, through: 5_000, by: 10) {
        for _ in arrivals.filter({ $0 > time - 10 && $0 <= time }) {
          _ = answer.partAlive(0, now: at(time))
        }
        #expect(answer.tick(now: at(time)).isEmpty, "seed \(seed) at \(time) ms")
      }
    }
  }

  @Test func `nothing is shown of a choice that has ended`() {
    var answer = machine(choices: 2)
    _ = answer.begin(now: start)
    _ = answer.partAccepted(0, by: a, now: at(1))
    _ = answer.frameArrived(0, choice: 0, tokens: [1], endsChoice: true, now: at(2))
    let effects = answer.frameArrived(0, choice: 0, tokens: [2], endsChoice: false, now: at(3))
    #expect(effects.first != .deliver)
    #expect(answer.progress[0].tokens == [1])
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
