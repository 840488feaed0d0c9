package import BloomBase

/// What an operator decided about new accounts.
package struct AccountPolicy: Sendable {
  /// Who may sign up.
  package var signUp: Accounts.SignUp
  /// Credit of accounts that nobody invited.
  package var openCredit: Micros

  /// Creates a policy; the default is by invitation.
  package init(signUp: Accounts.SignUp = .invite, openCredit: Micros = .zero) {
    self.signUp = signUp
    self.openCredit = openCredit
  }
}
