package import BloomBase
package import BloomLedger

/// The tables a coordinator keeps beside the ledger.
///
/// The number is stored; never reuse one.
package enum RecordKind: UInt8, CaseIterable, Sendable {
  /// ``AccountRecord``
  case account = 1
  /// ``APIKeyRecord``
  case apiKey = 2
  /// ``PoolRecord``
  case pool = 3
  /// ``OwnedNodeRecord``
  case node = 4
  /// ``DeviceCodeRecord``
  case deviceCode = 5
  /// ``InviteRecord``
  case invite = 6
  /// ``KeyStatementRecord``
  case receipt = 7
  /// ``PoolEventRecord``
  case poolEvent = 8
  /// ``KeySpendRecord``
  case keySpend = 9

  /// Whether all rows are held in memory, so that a read takes no I/O.
  ///
  /// Receipts and the events of pools are too many.
  package var isCached: Bool { self != .receipt && self != .poolEvent }
}

/// One stored row of any table.
package struct Record: Hashable, Sendable {
  /// Names a row.
  package struct Key: Hashable, Sendable {
    /// The table.
    package let kind: RecordKind
    /// Unique within the table; 1…128 bytes.
    package let id: String

    /// Creates a key.
    package init(_ kind: RecordKind, _ id: String) {
      self.kind = kind
      self.id = id
    }
  }
  /// Its name.
  package let key: Key
  /// What rows are listed by, for example the account; empty for none.
  package let group: String
  /// When it may be deleted; `nil` for never.
  package let expires: UnixTime?
  /// The packed fields.
  package let body: [UInt8]

  /// Creates a row.
  package init(key: Key, group: String, expires: UnixTime?, body: [UInt8]) {
    self.key = key
    self.group = group
    self.expires = expires
    self.body = body
  }

  /// The value in it; `nil` for one that cannot be read, which `verify` reports.
  func value<Value: StoredRecord>(of type: Value.Type) -> Value? {
    try? Value(packed: body, expires: expires)
  }
}

/// A value with a table of its own.
package protocol StoredRecord: Sendable, Hashable {
  /// The table.
  static var kind: RecordKind { get }
  /// Unique within the table.
  var id: String { get }
  /// What rows are listed by; empty for none.
  var group: String { get }
  /// When it may be deleted; `nil` for never.
  var expires: UnixTime? { get }
  /// The fields but ``expires``.
  var packed: [UInt8] { get }
  /// Reads the fields.
  init(packed: [UInt8], expires: UnixTime?) throws(PackedError)
}

extension StoredRecord {
  /// This value as a row.
  package var record: Record {
    Record(key: .init(Self.kind, id), group: group, expires: expires, body: packed)
  }
}

/// What must be true of a row for a write to happen.
package enum RecordCondition: Hashable, Sendable {
  /// Anything.
  case always
  /// There is none.
  case absent
  /// It has exactly these fields: nobody changed it since it was read.
  case unchanged([UInt8])
}

/// One write of a group that happens together or not at all.
package struct RecordChange: Hashable, Sendable {
  let key: Record.Key
  let record: Record?
  let condition: RecordCondition

  /// Writes a value.
  package static func put(
    _ value: some StoredRecord, if condition: RecordCondition = .always
  ) -> RecordChange {
    let record = value.record
    return RecordChange(key: record.key, record: record, condition: condition)
  }

  /// Replaces a value, unless somebody changed it since `old` was read.
  package static func replace<Value: StoredRecord>(_ old: Value, with new: Value) -> RecordChange {
    .put(new, if: .unchanged(old.packed))
  }

  /// Deletes a value; of several who delete the same, one succeeds.
  package static func delete(_ value: some StoredRecord) -> RecordChange {
    RecordChange(key: value.record.key, record: nil, condition: .unchanged(value.packed))
  }
}

/// The rows of cached kinds while a write is decided: nobody else writes meanwhile.
///
/// For the closure of ``LedgerStore/write(deciding:)`` only; rows that wait for the disk are in it.
package struct StoredRows: Sendable {
  private let table: RecordTable

  init(_ table: RecordTable) { self.table = table }

  /// A row of a cached kind.
  package func get<Value: StoredRecord>(_ type: Value.Type, _ id: String) -> Value? {
    invariant(Value.kind.isCached, "records of this kind are read with fetch")
    return table[Record.Key(Value.kind, id)].flatMap { $0.value(of: type) }
  }

  /// All rows of a cached kind in order of their ids, or those of one group.
  package func list<Value: StoredRecord>(_ type: Value.Type, group: String? = nil) -> [Value] {
    invariant(Value.kind.isCached, "records of this kind are read with fetch")
    return table.list(Value.kind, group: group).compactMap { $0.value(of: type) }
  }
}

/// The rows in memory, with what lists need.
///
/// A value.
struct RecordTable: Sendable {
  private var rows: [Record.Key: Record] = [:]
  private var groups: [RecordKind: [String: Set<String>]] = [:]

  init(_ records: [Record] = []) {
    for record in records { set(record.key, record) }
  }

  subscript(key: Record.Key) -> Record? { rows[key] }

  mutating func set(_ key: Record.Key, _ record: Record?) {
    if let old = rows[key] {
      groups[key.kind]?[old.group]?.remove(key.id)
      // A group's name may never come again: each device code is one.
      if groups[key.kind]?[old.group]?.isEmpty == true { groups[key.kind]?[old.group] = nil }
    }
    rows[key] = record
    guard let record else { return }
    groups[key.kind, default: [:]][record.group, default: []].insert(key.id)
  }

  func holds(_ change: RecordChange) -> Bool {
    switch change.condition {
    case .always: true
    case .absent: rows[change.key] == nil
    case .unchanged(let body): rows[change.key]?.body == body
    }
  }

  func list(_ kind: RecordKind, group: String?) -> [Record] {
    let ids: [String]
    if let group {
      ids = Array(groups[kind]?[group] ?? [])
    } else {
      ids = groups[kind]?.values.flatMap { $0 } ?? []
    }
    return ids.sorted().compactMap { rows[Record.Key(kind, $0)] }
  }

  func expired(before now: UnixTime) -> [Record.Key] {
    rows.values.filter { $0.expires.map { $0 < now } ?? false }.map(\.key)
  }
}
