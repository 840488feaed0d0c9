package import BloomBase
internal import BloomCrypto
internal import BloomLink
internal import BloomNet
internal import BloomRecords
internal import BloomWire

/// The agent of a node: what the link, the workers and the owner say meets here.
///
/// It sees sealed bytes, counts and receipts only. Decisions are the pure machines'
/// (``JobTable``, `NodeLinkMachine`); drivers of the link and of each worker call in and carry
/// bytes; this actor performs what the machines say.
package actor NodeAgent {
  /// Times of an agent.
  package enum Limits: Sendable {
    /// Between two reports of capacity.
    package static let report = Duration.seconds(5)
    /// A worker that serves and says nothing for this long hangs; idle ones speak each second.
    package static let silentWorker = Duration.seconds(15)
    /// A worker that loads and says nothing for this long hangs.
    package static let silentLoad = Duration.seconds(300)
    /// An idle worker that spoke within this time counts as well.
    package static let idleBeat = Duration.milliseconds(1_500)
    /// Seconds before a record's end when new keys are asked for.
    package static let renewalSeconds: Int64 = 240
    /// How long after the owner's last own request the model stays loaded for the next one.
    package static let own = Duration.seconds(600)
    /// How long a request that was stopped may run on before its worker is ended.
    package static let stopping = Duration.seconds(2)
  }

  struct Worker: Sendable {
    let model: NodeModel
    var outbox: TwoLaneQueue?
    var offer: WorkerOffer?
    var permille = 0
    var heardAt = Instant(nanoseconds: 0)
    var readyAt: Instant?
    var isIdle = true
    var capacity: ModelCapacity?
    var failure: String?
    var isCrashLooping = false
    var isRotating = false
    /// Whether it was sent away, so that its end is no crash.
    var isDismissed = false
    var selfTest: SelfTestResult?
  }

  /// Why a coordinator refuses a machine that nobody owns.
  static let notEnrolled = "the coordinator refuses it: this machine is in no account"

  /// The machine.
  package nonisolated let nodeID: NodeID

  let identity: NodeIdentity
  let maker: RecordMaker
  let shelf: ReceiptShelf
  let time: any TimeSource
  let loop: EventLoop
  let log: Log
  /// Whether proofs are bound to the connection; ends with the first coordinator behind a proxy.
  var bindsToTLS: Bool

  var machine: NodeLinkMachine
  var jobs = JobTable()
  /// Requests of this machine's own gateway, by the number they have in ``jobs``.
  var localAnswers: [StreamID: LocalAnswer] = [:]
  var lastLocal: UInt64 = 0
  var workers: [ModelID: Worker] = [:]
  var record: NodeRecord?
  var epoch: UInt64
  var outbox: TwoLaneQueue?
  var pings: TwoLaneQueue?
  var exporter: [UInt8]?
  var ending = LinkEnding(wasOpen: false, retryAfter: nil)
  var isProving = false
  /// Why there is no link, in words; `nil` once there is one.
  var linkProblem: String?
  var order = ServiceOrder.serve
  /// Whether ``order`` keeps away strangers only: nothing but the owner's presence or hours is in
  /// the way.
  var servesOwner = false
  /// Until when the owner's own requests are expected.
  var ownUntil: Instant?
  /// When work that still runs goes back, and when its worker is ended if it does not.
  var graceEnd: Instant?
  var stopEnd: Instant?
  var isStopping = false
  /// While the agent stops: when what still runs goes back.
  var stopBy: Instant?
  var standing: Standing?
  var earned = Micros(0)
  /// What the owner does not serve; told to workers at their start.
  nonisolated let refusals: OwnerPolicy
  var usage = UsageBook()
  var isUsageChanged = false
  /// Since when requests ran without an entry in ``usage``.
  var workingSince: Instant?
  /// The day as last looked up, and for which second of the wall clock.
  var localDay: (second: Int64, number: Int)?
  var recent: [FinishedJob] = []
  private var waiters: [CheckedContinuation<Void, Never>] = []
  private var alarm: (at: Instant, task: Task<Void, Never>)?
  private var nextReport = Instant(nanoseconds: 0)
  private var storing: [Int: Task<Void, Never>] = [:]
  private var lastStoring = 0

  init(
    identity: NodeIdentity, release: Digest, firstEpoch: UInt64, models: [NodeModel],
    refusals: OwnerPolicy, shelf: ReceiptShelf, bindsToTLS: Bool, time: any TimeSource,
    loop: EventLoop, log: Log
  ) {
    nodeID = identity.nodeID
    self.identity = identity
    maker = RecordMaker(identity: identity, release: release)
    machine = NodeLinkMachine(release: release)
    epoch = firstEpoch
    self.refusals = refusals
    self.shelf = shelf
    self.bindsToTLS = bindsToTLS
    self.time = time
    self.loop = loop
    self.log = log
    for model in models { workers[model.id] = Worker(model: model) }
  }

  /// Takes over the receipts of an earlier run; call once, before anything else.
  func restore(usage: UsageBook = UsageBook()) async {
    self.usage = usage
    for (digest, receipt) in await shelf.restore() {
      machine.restore(receipt: receipt, digest: digest)
    }
  }

  /// Ends the agent's work: no new requests, what runs may take `grace`, then it goes back.
  ///
  /// Returns when nothing runs and every receipt is on the disk.
  func stop(grace: Duration) async {
    isStopping = true
    jobs.closed = .draining
    perform(machine.say(.draining(.draining)))
    report()
    let milliseconds = Int(max(0, grace.wholeNanoseconds) / 1_000_000)
    for model in workers.keys.sorted() {
      tell(model, .drain(.draining, milliseconds: milliseconds))
    }
    wakeAll()
    stopBy = time.now() + grace + Limits.stopping
    while jobs.count > 0, let end = stopBy, time.now() < end { await pause() }
    for model in workers.keys.sorted() { perform(jobs.workerEnded(model, .draining)) }
    while let task = storing.values.first { await task.value }
    // The last receipts are on the disk; a moment more and the coordinator has them too.
    let patience = time.now() + .seconds(1)
    while machine.isOpen, machine.unconfirmedCount > 0, time.now() < patience { await pause() }
    outbox?.finish()
    alarm?.task.cancel()
    alarm = nil
  }

  func pause() async {
    // A cancelled sleep only makes the caller look earlier.
    try? await loop.sleep(for: .milliseconds(20))
  }

  // MARK: Waiting

  func suspend() async { await withCheckedContinuation { waiters.append($0) } }

  func wakeAll() {
    let due = waiters
    waiters = []
    for waiter in due { waiter.resume() }
  }

  // MARK: Time

  /// Sets the one timer to whatever is due next.
  func reschedule() {
    if isStopping, jobs.count == 0, !machine.isOpen { return }
    var next = nextReport
    for due in [machine.nextDeadline, graceEnd, stopEnd, order.level == .away ? ownUntil : nil] {
      if let due { next = min(next, due) }
    }
    if let alarm, alarm.at <= next { return }
    alarm?.task.cancel()
    let delay = next - time.now()
    alarm = (
      next,
      Task {
        guard (try? await loop.sleep(for: delay)) != nil else { return }  // a nearer one was set
        rang()
      }
    )
  }

  private func rang() {
    alarm = nil
    tick()
    reschedule()
  }

  private func tick() {
    let now = time.now()
    for (model, worker) in workers where worker.isIdle && jobs.isWorking(model) {
      // A worker between two requests owes a beat each second only.
      if now - worker.heardAt < Limits.idleBeat { machine.beat(model, now: now) }
    }
    perform(machine.tick(now: now))
    endOwnUse(now)
    endGrace(now)
    accountWork()
    guard now >= nextReport else { return }
    nextReport = now + Limits.report
    report()
    renewKeys()
    for (model, worker) in workers {
      let limit = worker.readyAt == nil ? Limits.silentLoad : Limits.silentWorker
      guard worker.outbox != nil, now - worker.heardAt >= limit else { continue }
      log.error("worker hangs and is ended", ["model": .id(model)])
      worker.outbox?.finish(dropping: true)
    }
  }

  // MARK: Effects

  func perform(_ effects: [NodeLinkEffect]) {
    for effect in effects { perform(effect) }
    if !effects.isEmpty { reschedule() }
  }

  private func perform(_ effect: NodeLinkEffect) {
    let now = time.now()
    switch effect {
    case .send(let message):
      if outbox?.push(message, isControl: LinkLane.isControl(message)) == false { closeLink() }
    case .ping: pings?.push([], isControl: true)
    case .prove(let nonce): prove(nonce)
    case .welcomed: welcomed()
    case .request(let stream, let head, let body):
      perform(jobs.requested(stream, head: head, body: body))
      accountWork()
      for model in workers.keys where jobs.isWorking(model) { noteBegin(model, now) }
    case .stop(let stream, let reason): perform(jobs.stop(stream, reason))
    case .pause(let stream): jobs.pause(stream)
    case .resume(let stream): perform(jobs.resume(stream))
    case .forget(let digest): keep { await self.shelf.forget(digest) }
    case .told(let message): told(message)
    case .close(let reason, let retryAfter):
      log.info("link closed", ["reason": ShortName(reason.name).map { .name($0) } ?? "unknown"])
      linkProblem = "the coordinator ended it: \(NodeStatusPage.plain(reason.name))"
      if reason == .unauthorized {
        linkProblem = Self.notEnrolled
        log.error("this machine is in no account; run: darkbloom node enroll")
      }
      ending.retryAfter = retryAfter
      if reason == .notProven, exporter != nil {
        // A proxy ends TLS: the coordinator knows no exporter. The next proof does without.
        log.info("the coordinator does not see this connection's TLS; proving without it")
        bindsToTLS = false
        ending.retryAfter = nil
      }
      closeLink()
    }
  }

  func perform(_ effects: [JobTable.Effect]) {
    for effect in effects { perform(effect) }
  }

  private func perform(_ effect: JobTable.Effect) {
    if answerLocally(effect) { return }
    switch effect {
    case .command(let model, let command): tell(model, command)
    case .accept(let stream): perform(machine.accept(stream, now: time.now()))
    case .refuse(let stream, let reason, let retryAfter):
      perform(machine.refuse(stream, reason, retryAfterMilliseconds: retryAfter))
    case .answer(let stream, let bytes):
      noteUpload(bytes.count)
      perform(machine.answer(stream, bytes))
    case .receipt(let stream, let receipt): perform(machine.receipt(stream, receipt))
    case .done(let stream, let receipt):
      noteDone(receipt, isSelfTest: false)
      store(receipt, of: stream)
    case .handBack(let stream, let reason): perform(machine.handBack(stream, reason))
    }
  }

  /// The receipt is money: first the disk, then the link.
  private func store(_ receipt: [UInt8], of stream: StreamID) {
    let digest = SHA256.digest(receipt)
    keep {
      do {
        try await self.shelf.store(receipt, digest)
      } catch {
        self.log.error("receipt not stored", ["reason": .error(error)])
      }
      await self.stored(receipt, digest, of: stream)
    }
  }

  private func stored(_ receipt: [UInt8], _ digest: Digest, of stream: StreamID) {
    perform(machine.done(stream, receipt: receipt, digest: digest, now: time.now()))
  }

  /// Runs work beside the actor that must end before the agent does.
  private func keep(_ work: @escaping @Sendable () async -> Void) {
    lastStoring += 1
    let number = lastStoring
    storing[number] = Task {
      await work()
      storing[number] = nil
    }
  }

  func tell(_ model: ModelID, _ command: WorkerCommand) {
    // A request's parts and its end keep their order; everything else may pass them.
    let isControl =
      switch command {
      case .begin, .chunk, .cancel, .load: false
      case .credit, .rotate, .vouched, .drain: true
      }
    guard let outbox = workers[model]?.outbox, workers[model]?.isDismissed != true else { return }
    if !outbox.push(LengthFraming.framed(command.encoded), isControl: isControl) {
      log.error("worker does not read and is ended", ["model": .id(model)])
      outbox.finish(dropping: true)
    }
  }
}
