package import BloomBase
package import BloomWire

/// What a node's agent does now, for its owner: counts and reasons, never content.
package struct NodeStatus: Sendable, Equatable {
  /// The link's state.
  package enum Link: String, Sendable {
    /// No worker has offered keys yet.
    case waitingForWorker = "waiting for worker"
    /// Trying to reach a coordinator, or waiting to try again.
    case connecting
    /// The coordinator checks the record.
    case proving
    /// Welcome.
    case open
    /// Ending: no new work.
    case stopping
  }

  /// One model's worker.
  package struct Worker: Sendable, Equatable {
    /// The model.
    package var model: ModelID
    /// The name clients ask for.
    package var name: String
    /// How far it is.
    package var state: ModelPresence.State
    /// Thousandths of the load.
    package var permille: Int
    /// Whether it crashes again and again.
    package var isCrashLooping: Bool
    /// What its last failure said.
    package var failure: String?
    /// Requests at once.
    package var slots: Int
    /// Requests that run.
    package var active: Int
    /// Measured generation speed of one stream, in thousandths of a token a second.
    package var decodeMilliTokensPerSecond: Int
    /// Measured prompt speed, in thousandths of a token a second.
    package var prefillMilliTokensPerSecond: Int
    /// Names of the protections in force.
    package var protections: [String]
    /// How the machine's own test of it went; `nil` before.
    package var selfTest: SelfTestResult?
  }

  /// What the owner's signals say; `nil` where the system does not tell.
  package struct Signals: Sendable, Equatable {
    /// The last look.
    package var snapshot: OwnerSnapshot
    /// Everything that is in the way now, in the order of telling.
    package var causes: [PresencePolicy.Cause]
  }

  /// The machine.
  package var node: NodeID
  /// How much of the machine the network may have, and why not all.
  package var order: ServiceOrder
  /// The link.
  package var link: Link
  /// Whether a proof is bound to the connection; false behind a proxy that ends TLS.
  package var isBound: Bool
  /// The workers, by name.
  package var workers: [Worker]
  /// Requests since the start.
  package var counts: JobTable.Counts
  /// What was booked since the start.
  package var earned: Micros
  /// Final receipts that the coordinator has not acknowledged.
  package var unconfirmedReceipts: Int
  /// How the network sees the node; `nil` before it said so.
  package var standing: Standing?
  /// Today's figures, over restarts.
  package var today: UsageBook.Day
  /// The last requests, oldest first.
  package var recent: [FinishedJob]
  /// Why there is no link, in words; `nil` while there is one or nothing went wrong yet.
  package var linkProblem: String?
  /// What the owner's signals say; `nil` when nobody looks.
  package var signals: Signals?
  /// What running costs the owner.
  package var costs = OwnerSettings.Costs()

  /// The status as one JSON object.
  package var json: [UInt8] {
    var writer = JSONWriter(capacity: 1_024)
    writer.object { writer in
      writer.key("running")
      writer.bool(true)
      writer.key("node")
      writer.string(node.digest.hex)
      writer.key("level")
      writer.string("\(order.level)")
      writer.key("reason")
      if let reason = order.reason { writer.string(reason.name) } else { writer.null() }
      writer.key("link")
      writer.string(link.rawValue)
      writer.key("link_problem")
      if let linkProblem { writer.string(linkProblem) } else { writer.null() }
      writer.key("link_bound")
      writer.bool(isBound)
      writer.key("models")
      writer.array { writer in
        for worker in workers { worker.write(to: &writer) }
      }
      writer.key("requests")
      writer.object { writer in
        writer.key("accepted")
        writer.integer(counts.accepted)
        writer.key("done")
        writer.integer(counts.done)
        writer.key("refused")
        writer.integer(counts.refused)
        writer.key("handed_back")
        writer.integer(counts.handedBack)
      }
      writer.key("earned_micros")
      writer.string("\(earned.rawValue)")
      writer.key("unconfirmed_receipts")
      writer.integer(unconfirmedReceipts)
      writer.key("standing")
      if let standing { standing.write(to: &writer) } else { writer.null() }
      writer.key("today")
      writer.value(today.json(costs))
      writer.key("last_jobs")
      writer.array { writer in
        for job in recent { writer.value(job.json) }
      }
      writer.key("signals")
      if let signals { writer.value(signals.json) } else { writer.null() }
    }
    return writer.bytes
  }
}

extension NodeStatus.Worker {
  fileprivate func write(to writer: inout JSONWriter) {
    writer.object { writer in
      writer.key("model")
      writer.string(model.digest.hex)
      writer.key("name")
      writer.string(name)
      writer.key("state")
      writer.string("\(state)")
      writer.key("loaded_permille")
      writer.integer(permille)
      writer.key("crash_looping")
      writer.bool(isCrashLooping)
      writer.key("failure")
      if let failure { writer.string(failure) } else { writer.null() }
      writer.key("slots")
      writer.integer(slots)
      writer.key("active")
      writer.integer(active)
      writer.key("decode_tokens_per_second")
      writer.number(Double(decodeMilliTokensPerSecond) / 1_000)
      writer.key("prefill_tokens_per_second")
      writer.number(Double(prefillMilliTokensPerSecond) / 1_000)
      writer.key("protections")
      writer.array { writer in
        for name in protections { writer.string(name) }
      }
      writer.key("self_test")
      if let selfTest { writer.value(selfTest.json) } else { writer.null() }
    }
  }
}

extension Standing {
  fileprivate func write(to writer: inout JSONWriter) {
    writer.object { writer in
      writer.key("permille")
      writer.integer(permille)
      writer.key("parts")
      writer.object { writer in
        for part in parts {
          writer.key(part.name)
          writer.integer(part.permille)
        }
      }
      writer.key("no_work")
      writer.object { writer in
        for entry in reasons {
          writer.key(entry.reason.name)
          writer.integer(entry.count)
        }
      }
    }
  }
}
