internal import BloomBase
internal import BloomEngine

extension DecodeLoop {
  /// One token for every choice that has one and whose reader has room.
  func decodeStep() -> Bool {
    var rows: [Int] = []
    var entries: [BatchEntry] = []
    // In the order of slots: llama.cpp takes slots together only as long as they ascend by one.
    let order = running.indices.sorted { running[$0].slot < running[$1].slot }
    for index in order where running[index].isDecoding {
      let choice = running[index]
      let position = slots.slots[choice.slot].tokens.count
      if let token = choice.replay.first {
        entries.append(
          BatchEntry(
            token: token, position: position, slot: choice.slot,
            wantsLogits: choice.replay.count == 1))
      } else if let token = choice.next, requests[choice.requestID]?.outlet.hasRoom == true {
        entries.append(
          BatchEntry(token: token, position: position, slot: choice.slot, wantsLogits: true))
      } else {
        continue
      }
      rows.append(index)
    }
    guard !entries.isEmpty else { return false }
    beat.setBusy(true, now: time.now())
    let start = time.now()
    let result = context.decode(entries)
    guard result == .done else {
      failBatch(rows, result)
      return true
    }
    for (row, index) in rows.enumerated() {
      let entry = entries[row]
      slots.append([entry.token], to: entry.slot, isCanonical: false)
      if running[index].hasEnded { continue }
      if running[index].replay.isEmpty {
        running[index].next = nil
      } else {
        running[index].replay.removeFirst()
      }
      if entry.wantsLogits { sample(index, row: row) }
    }
    note(tokens: entries.count, took: time.now() - start, isPrefill: false)
    removeEnded()
    return true
  }

  /// One piece of one prompt; prompts take turns.
  func prefillStep() -> Bool {
    let waiting = running.indices.filter { running[$0].isPrefilling }
    guard !waiting.isEmpty else { return false }
    beat.setBusy(true, now: time.now())
    prefillTurn += 1
    let index = waiting[prefillTurn % waiting.count]
    let choice = running[index]
    let piece = pieceTokens(for: choice)
    var border = min((choice.computed / piece + 1) * piece, choice.prefill.count)
    // The prompt's last piece ends with the prompt, whatever follows it.
    if choice.computed < choice.promptCount { border = min(border, choice.promptCount) }
    let isLast = border == choice.prefill.count && choice.replay.isEmpty
    let entries = (choice.computed..<border).map { position in
      BatchEntry(
        token: choice.prefill[position], position: position, slot: choice.slot,
        wantsLogits: isLast && position == border - 1)
    }
    let start = time.now()
    let result = context.decode(entries)
    let end = time.now()
    guard result == .done else {
      failBatch([index], result)
      return true
    }
    slots.append(
      choice.prefill[choice.computed..<border], to: choice.slot,
      isCanonical: border <= choice.promptCount && piece == DecodingProfile.pieceTokens)
    running[index].computed = border
    if isLast { sample(index, row: entries.count - 1) }
    note(tokens: entries.count, took: end - start, isPrefill: true)
    removeEnded()
    return true
  }

  /// Tokens of the next piece: many only while nobody else waits for a token.
  private func pieceTokens(for choice: Running) -> Int {
    let wide = DecodingProfile.widePieceTokens
    let isAlone = running.allSatisfy { $0.hasEnded || $0.slot == choice.slot }
    let isQuick = Double(wide) <= prefillRate * mostWideSeconds
    let isFast = requests[choice.requestID]?.request.continuation == .fast
    return isAlone && isQuick && isFast ? wide : DecodingProfile.pieceTokens
  }

  /// One text of one embeddings request.
  ///
  /// Requests take turns, and between two texts cancellation and deadlines are looked at.
  func embeddingStep() -> Bool {
    guard let id = embeddings.first, let request = requests[id] else { return false }
    beat.setBusy(true, now: time.now())
    embeddings.removeFirst()
    announce(id, cached: 0)
    let prompts = request.prepared.prompts
    var vectors = request.vectors
    if vectors.count < prompts.count {
      let start = time.now()
      context.forget(slot: 0, from: 0)
      let entries = prompts[vectors.count].enumerated().map {
        BatchEntry(token: $1, position: $0, slot: 0, wantsLogits: true)
      }
      guard context.decode(entries) == .done,
        let vector = context.embedding(slot: 0, width: facts.embeddingWidth)
      else {
        fail(id, EngineError(.engine, "the model could not embed a text"))
        return true
      }
      vectors.append(normalized(vector))
      note(tokens: entries.count, took: time.now() - start, isPrefill: true)
    }
    if vectors.count < prompts.count {
      requests[id]?.vectors = vectors
      if request.deadline != nil { requests[id]?.deadline = time.now() + EngineLimits.stall }
      embeddings.append(id)
    } else {
      request.outlet.emit(.embeddings(vectors))
      finishIfDone(id)
    }
    return true
  }

  private func normalized(_ vector: [Float]) -> [Float] {
    let length = vector.reduce(0) { $0 + $1 * $1 }.squareRoot()
    return length > 0 ? vector.map { $0 / length } : vector
  }

  /// Draws the next token of a choice and delivers it.
  private func sample(_ index: Int, row: Int) {
    let id = running[index].requestID
    guard !running[index].hasEnded, let request = requests[id] else { return }
    do {
      if running[index].length >= request.request.maxTokens {
        // An earlier part delivered the last token, but not that it was the last.
        try finish(index, .length)
        return
      }
      let choice = running[index].choice
      let token = try context.sample(choice.sampler, row: row, position: running[index].length)
      if model.isEnd(token) {
        try finish(index, .stop)
        return
      }
      try choice.sampler.accept(token)
      running[index].length += 1
      running[index].sampled += 1
      running[index].frame.tokens.append(token)
      if let count = request.request.logprobs,
        let logprob = context.logprobs(row: row, chosen: token, count: count)
      {
        running[index].frame.logprobs.append(logprob)
      }
      if let deltas = try running[index].choice.text.feed(token) {
        running[index].frame.deltas = deltas
        if !running[index].choice.text.isStopped { deliver(index) }
      }
      let isFull = slots.slots[running[index].slot].tokens.count + 1 >= facts.contextTokens
      if running[index].choice.text.isStopped {
        try finish(index, .stop)
      } else if running[index].length >= request.request.maxTokens || isFull {
        try finish(index, .length)
      } else {
        running[index].next = token
      }
    } catch {
      fail(id, error)
    }
  }

  private func deliver(_ index: Int) {
    let frame = running[index].frame
    guard !frame.tokens.isEmpty || !frame.deltas.isEmpty else { return }
    let id = running[index].requestID
    requests[id]?.usage.completionTokens += frame.tokens.count
    requests[id]?.outlet.emit(.tokens(frame))
    if requests[id]?.deadline != nil { requests[id]?.deadline = time.now() + EngineLimits.stall }
    running[index].frame = EngineFrame(choice: frame.choice, tokens: [], deltas: [])
  }

  private func finish(_ index: Int, _ reason: EngineFinish) throws(EngineError) {
    let rest = try running[index].choice.text.finish()
    running[index].frame.deltas += rest
    deliver(index)
    let id = running[index].requestID
    let calls = running[index].choice.text.hasCalls && reason == .stop
    requests[id]?.outlet.emit(
      .finished(
        choice: running[index].choice.index, calls ? .toolCalls : reason,
        stop: calls || reason != .stop ? nil : running[index].choice.text.metStop))
    slots.release(running[index].slot, forgets: false)
    running[index].next = nil
    running[index].hasEnded = true
    requests[id]?.remaining -= 1
  }

  /// Removes ended choices once no index into `running` is held any more.
  func removeEnded() {
    let ended = running.filter(\.hasEnded).map(\.requestID)
    guard !ended.isEmpty else { return }
    running.removeAll(where: \.hasEnded)
    for id in ended { finishIfDone(id) }
  }

  private func failBatch(_ indices: [Int], _ result: DecodeResult) {
    let error =
      result == .noRoom
      ? EngineError(.memory, "the context has no room left; try again later")
      : EngineError(.engine, "llama.cpp failed while computing (\(result))")
    for id in Set(indices.map { running[$0].requestID }) { fail(id, error, forgets: true) }
  }
}
