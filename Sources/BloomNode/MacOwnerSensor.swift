#if os(macOS)
internal import CoreGraphics
internal import Darwin
internal import Foundation
internal import IOKit.ps

/// Owner signals of macOS: window server, power sources and the process's own thermal state.
///
/// Compiled on macOS only, so not by the checks that run on Linux.
package struct MacOwnerSensor: OwnerSensor {
  private var earlier: (busy: UInt64, total: UInt64)?

  /// Creates a sensor; it holds nothing.
  package init() {}

  /// Time since any input event of the login session.
  package func inputIdle() -> Duration? {
    guard let any = CGEventType(rawValue: ~0) else { return nil }
    return .seconds(CGEventSource.secondsSinceLastEventType(.hidSystemState, eventType: any))
  }

  /// Reads power, heat, memory and processors.
  package mutating func read(into snapshot: inout OwnerSnapshot) {
    let info = IOPSCopyPowerSourcesInfo().takeRetainedValue()
    let providing = IOPSGetProvidingPowerSourceType(info)?.takeUnretainedValue() as String?
    snapshot.isOnBattery = providing == kIOPMBatteryPowerKey
    let sources = IOPSCopyPowerSourcesList(info).takeRetainedValue() as [AnyObject]
    for source in sources {
      let facts =
        IOPSGetPowerSourceDescription(info, source)?.takeUnretainedValue() as? [String: Any]
      if let charge = facts?[kIOPSCurrentCapacityKey] as? Int { snapshot.batteryPercent = charge }
    }
    switch ProcessInfo.processInfo.thermalState {
    case .nominal: snapshot.heat = .nominal
    case .fair: snapshot.heat = .fair
    case .serious: snapshot.heat = .serious
    case .critical: snapshot.heat = .critical
    @unknown default: snapshot.heat = nil
    }
    var level: Int32 = 0
    var size = MemoryLayout<Int32>.size
    if unsafe sysctlbyname("kern.memorystatus_vm_pressure_level", &level, &size, nil, 0) == 0 {
      // 1 normal, 2 warning, 4 critical: <dispatch/source.h>.
      snapshot.memory = level >= 4 ? .critical : level >= 2 ? .warning : .normal
    }
  }
}
#endif
