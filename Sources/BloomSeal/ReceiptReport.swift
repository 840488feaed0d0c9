internal import BloomBase
package import BloomCrypto
internal import BloomRecords
internal import BloomWire

/// What a receipt proves to somebody who was not there, line by line; needs no network.
package struct ReceiptReport: Sendable, Equatable {
  /// How one question was answered.
  package enum Verdict: String, Sendable {
    /// Shown by cryptography.
    case proven
    /// Contradicted.
    case refuted
    /// Not shown, for want of a file or by the nature of a receipt.
    case open
  }

  /// One line of the report.
  package struct Line: Sendable, Equatable {
    /// The answer.
    package let verdict: Verdict
    /// What was asked, in words, lower case.
    package let text: String
  }

  /// The lines in reading order.
  package private(set) var lines: [Line] = []

  /// Whether nothing was refuted.
  package var holds: Bool { lines.allSatisfy { $0.verdict != .refuted } }

  /// The report as text: a verdict and a sentence a line.
  package var text: String {
    lines.map { "\($0.verdict.rawValue): \($0.text)\n" }.joined()
  }

  /// Checks a receipt.
  ///
  /// - Parameters:
  ///   - receipt: The signed receipt.
  ///   - record: The node record that was in force; `nil` leaves the machine open.
  ///   - commitKey: The key of the commitments, which the gateway kept.
  ///   - request: The canonical request's bytes.
  ///   - frames: The encoded frames of the answer in order, receipts left out.
  package init(
    receipt: [UInt8], record: [UInt8]?, commitKey: SecretBytes?, request: [UInt8]?,
    frames: [[UInt8]]?
  ) {
    let parsed: Receipt
    do throws(RecordError) { parsed = try Receipt(unverified: receipt) } catch {
      lines = [Line(verdict: .refuted, text: "the receipt can be read: \(error.publicDescription)")]
      return
    }
    let claims = parsed.claims
    checkMachine(parsed, record)
    checkContent(claims, commitKey, request: request, frames: frames)
    add(
      .open,
      "the machine says: \(claims.promptTokens) prompt, \(claims.replayedTokens) replayed and "
        + "\(claims.completionTokens) completion tokens, part \(claims.part), \(claims.mode), "
        + "ended: \(claims.finish.map { "\($0)" } ?? "still running")")
    add(.open, "that the model computed these tokens; only audits speak to that")
  }

  private mutating func add(_ verdict: Verdict, _ text: String) {
    lines.append(Line(verdict: verdict, text: text))
  }

  private mutating func checkMachine(_ receipt: Receipt, _ bytes: [UInt8]?) {
    let claims = receipt.claims
    guard let bytes else {
      add(.open, "which machine signed; give its node record")
      return
    }
    let record: NodeRecord
    do throws(RecordError) { record = try NodeRecord(verifying: bytes) } catch {
      add(.refuted, "the node record is valid: \(error.publicDescription)")
      return
    }
    let statement = record.statement
    add(.proven, "machine \(statement.nodeID.digest.hex) vouches for its worker's keys")
    guard
      let keys = statement.workers.first(where: { $0.keyID == claims.key }),
      claims.node == statement.nodeID
    else {
      add(.refuted, "the receipt names this machine and one of its keys")
      return
    }
    do throws(RecordError) {
      try receipt.verify(keys.receiptKey)
      add(.proven, "that machine's worker signed the receipt")
    } catch {
      add(.refuted, "that machine's worker signed the receipt")
      return
    }
    let isSame =
      claims.model == keys.model && claims.release == statement.release
      && claims.engine == statement.engine && claims.evidence == statement.evidence
    add(
      isSame ? .proven : .refuted,
      "model \(claims.model.digest.hex), release \(claims.release.hex) and engine are the stated ones"
    )
    let isTimely = statement.isAccepted(at: claims.start)
    add(isTimely ? .proven : .refuted, "the part began while the keys were accepted")
    let hasProof = statement.platform != .none
    add(
      .open,
      hasProof
        ? "what the hardware evidence of platform \(statement.platform) is worth"
        : "what the machine is: its identity is a file, without hardware evidence")
  }

  private mutating func checkContent(
    _ claims: ReceiptClaims, _ key: SecretBytes?, request: [UInt8]?, frames: [[UInt8]]?
  ) {
    guard let key else {
      add(.open, "which request and answer; give the commitment key")
      return
    }
    if let request {
      let isSame = HMAC<SHA256>.digest(key: key, message: request) == claims.requestCommitment
      add(isSame ? .proven : .refuted, "this request is the one that was answered")
    } else {
      add(.open, "which request; give its file")
    }
    guard let frames else {
      add(.open, "which answer; give its file")
      return
    }
    var code = HMAC<SHA256>(key: key)
    var tokens = 0
    for frame in frames {
      code.update(frame)
      if let frame = try? Frame(decoding: frame), case .tokens(let part) = frame {
        tokens += part.tokens.count
      }
    }
    let isSame = code.digest() == claims.framesCommitment
    add(isSame ? .proven : .refuted, "this answer is the one that was signed")
    add(
      tokens == claims.completionTokens ? .proven : .refuted,
      "the answer has \(tokens) tokens, as many as were charged")
  }
}
