/// Errors from a ``BoundedChannel``.
public enum ChannelError: Error, Equatable, Sendable {
  /// The channel was finished before this element was accepted.
  case finished
  /// The task was cancelled while it waited.
  case cancelled
}

/// A single-producer, single-consumer queue whose producer suspends when it is full.
public final class BoundedChannel<Element: Sendable>: Sendable {
  private let machine: Locked<Machine>

  /// Creates a channel.
  ///
  /// - Parameter capacity: Elements held at most. Must be at least one.
  public init(capacity: Int) {
    precondition(capacity >= 1, "capacity must be at least one")
    machine = Locked(Machine(capacity: capacity))
  }

  /// Suspends until there is room, then enqueues `element`.
  public func send(_ element: Element) async throws(ChannelError) {
    let result: Result<Void, ChannelError> = await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let effects = machine.withLock { $0.send(element, continuation) }
        effects.perform()
      }
    } onCancel: {
      machine.withLock { $0.cancelProducer() }.perform()
    }
    try result.get()
  }

  /// Suspends until an element is there; `nil` once finished and drained, or cancelled.
  public func next() async -> Element? {
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        machine.withLock { $0.next(continuation) }.perform()
      }
    } onCancel: {
      machine.withLock { $0.cancelConsumer() }.perform()
    }
  }

  /// Ends the channel; elements already accepted are still delivered.
  public func finish() {
    machine.withLock { $0.finish() }.perform()
  }
}

extension BoundedChannel {
  typealias Producer = CheckedContinuation<Result<Void, ChannelError>, Never>
  typealias Consumer = CheckedContinuation<Element?, Never>

  /// What the driver must do after it has let go of the lock.
  struct Effects: Sendable {
    var producer: (Producer, Result<Void, ChannelError>)?
    var consumer: (Consumer, Element?)?

    func perform() {
      if let (continuation, result) = producer { continuation.resume(returning: result) }
      if let (continuation, element) = consumer { continuation.resume(returning: element) }
    }
  }

  /// Pure: no I/O, no clock, never resumes a continuation itself.
  struct Machine: Sendable {
    private let capacity: Int
    private var buffer: [Element] = []
    private var producer: (continuation: Producer, element: Element)?
    private var consumer: Consumer?
    private var isFinished = false
    private var producerCancelled = false
    private var consumerCancelled = false

    init(capacity: Int) { self.capacity = capacity }

    mutating func send(_ element: Element, _ continuation: Producer) -> Effects {
      precondition(producer == nil, "one producer at a time")
      if producerCancelled { return Effects(producer: (continuation, .failure(.cancelled))) }
      if isFinished { return Effects(producer: (continuation, .failure(.finished))) }
      if let waiting = consumer {
        consumer = nil
        return Effects(producer: (continuation, .success(())), consumer: (waiting, element))
      }
      guard buffer.count < capacity else {
        producer = (continuation, element)
        return Effects()
      }
      buffer.append(element)
      return Effects(producer: (continuation, .success(())))
    }

    mutating func next(_ continuation: Consumer) -> Effects {
      precondition(consumer == nil, "one consumer at a time")
      if consumerCancelled { return Effects(consumer: (continuation, nil)) }
      guard !buffer.isEmpty else {
        if isFinished { return Effects(consumer: (continuation, nil)) }
        consumer = continuation
        return Effects()
      }
      let first = buffer.removeFirst()
      guard let waiting = producer else { return Effects(consumer: (continuation, first)) }
      producer = nil
      buffer.append(waiting.element)
      return Effects(
        producer: (waiting.continuation, .success(())), consumer: (continuation, first))
    }

    mutating func finish() -> Effects {
      isFinished = true
      var effects = Effects()
      if let waiting = producer { effects.producer = (waiting.continuation, .failure(.finished)) }
      if let waiting = consumer { effects.consumer = (waiting, nil) }
      producer = nil
      consumer = nil
      return effects
    }

    mutating func cancelProducer() -> Effects {
      producerCancelled = true
      guard let waiting = producer else { return Effects() }
      producer = nil
      return Effects(producer: (waiting.continuation, .failure(.cancelled)))
    }

    mutating func cancelConsumer() -> Effects {
      consumerCancelled = true
      guard let waiting = consumer else { return Effects() }
      consumer = nil
      return Effects(consumer: (waiting, nil))
    }
  }
}
