/// The tables, as a list of migrations: number n brings a file from version n − 1 to n.
///
/// Never change one that was released; add the next.
enum SQLiteSchema {
  static let migrations = [
    """
    CREATE TABLE meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    INSERT INTO meta VALUES('writer', 0);
    CREATE TABLE entries(sequence INTEGER PRIMARY KEY, time INTEGER NOT NULL,
      kind INTEGER NOT NULL, reference TEXT NOT NULL, body BLOB NOT NULL);
    CREATE INDEX entries_by_time ON entries(time);
    CREATE INDEX entries_with_key ON entries(time) WHERE kind NOT IN (3, 4);
    CREATE TABLE account_entries(account TEXT NOT NULL, sequence INTEGER NOT NULL,
      PRIMARY KEY(account, sequence)) WITHOUT ROWID;
    CREATE TABLE balances(account TEXT PRIMARY KEY, credit INTEGER NOT NULL,
      earned INTEGER NOT NULL, reserved INTEGER NOT NULL, held INTEGER NOT NULL,
      payout INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE answers(id BLOB PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE disputes(sequence INTEGER NOT NULL, part INTEGER NOT NULL, body BLOB NOT NULL,
      PRIMARY KEY(sequence, part)) WITHOUT ROWID;
    CREATE TABLE payouts(id INTEGER PRIMARY KEY, account TEXT NOT NULL, pending INTEGER NOT NULL,
      body BLOB NOT NULL);
    CREATE INDEX payouts_by_account ON payouts(account, id);
    CREATE TABLE policies(version INTEGER PRIMARY KEY, body BLOB NOT NULL);
    CREATE TABLE prices(version INTEGER PRIMARY KEY, body BLOB NOT NULL);
    CREATE TABLE usage(account TEXT NOT NULL, day INTEGER NOT NULL, role INTEGER NOT NULL,
      node BLOB NOT NULL, model BLOB NOT NULL, answers INTEGER NOT NULL,
      prompt INTEGER NOT NULL, completion INTEGER NOT NULL, replayed INTEGER NOT NULL,
      gross INTEGER NOT NULL, fee INTEGER NOT NULL, replay_paid INTEGER NOT NULL,
      PRIMARY KEY(account, day, role, node, model)) WITHOUT ROWID;
    CREATE TABLE records(kind INTEGER NOT NULL, id TEXT NOT NULL, grp TEXT NOT NULL,
      expires INTEGER, body BLOB NOT NULL, PRIMARY KEY(kind, id)) WITHOUT ROWID;
    CREATE INDEX records_by_group ON records(kind, grp, id);
    CREATE INDEX records_by_expiry ON records(expires) WHERE expires IS NOT NULL;
    """
  ]
}
