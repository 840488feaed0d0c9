/// What an owner wants of a machine that serves; every threshold has one to enter and one to leave.
package struct OwnerSettings: Sendable, Equatable {
  /// Hours of service; empty for always.
  package var windows: [ScheduleWindow] = []
  /// Programs that want the machine for themselves, by name.
  package var exclusiveApps: Set<String> = []
  /// Whether the machine may serve on its battery; never, when off.
  package var servesOnBattery = false
  /// The charge from which it serves again on mains, in percent.
  package var batteryLeavePercent = 80
  /// How long it must have been on mains.
  package var batteryLeaveAfter = Duration.seconds(60)
  /// Whether keys, clicks and touches of the owner take the machine back.
  package var yieldsToInput = true
  /// How long the owner must be away before the machine serves again.
  package var inputLeaveAfter = Duration.seconds(300)
  /// Whether the weights leave memory when the owner comes; otherwise only the work stops.
  package var unloadsForOwner = true
  /// Others' processor time, of 1,000, that makes the node polite after ``busyEnterAfter``.
  package var cpuEnterPermille = 250
  /// Below it the node is at ease again.
  package var cpuLeavePermille = 150
  /// Others' graphics time, of 1,000, that stops the work.
  package var gpuEnterPermille = 200
  /// Below it the work may go on.
  package var gpuLeavePermille = 100
  /// How long others must be busy.
  package var busyEnterAfter = Duration.seconds(10)
  /// How long they must be quiet.
  package var busyLeaveAfter = Duration.seconds(30)
  /// How long heat and memory must be well before work comes back.
  package var recoverAfter = Duration.seconds(60)
  /// Whether the node serves over a network that costs by volume.
  package var servesOnMetered = false
  /// How long running answers may take when nobody is in a hurry: pause, schedule.
  package var unhurried = Duration.seconds(20)

  /// The defaults above.
  package init() {}
}
