// swift-tools-version: 6.3
import PackageDescription

// House settings: CONTRIBUTING.md explains them. One list for every Swift target.
let house: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .treatAllWarnings(as: .error),
  .treatWarning("DeprecatedDeclaration", as: .warning),
  .treatWarning("ExplicitSendable", as: .error),
  .strictMemorySafety(),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
  .enableUpcomingFeature("InferIsolatedConformances"),
  .enableUpcomingFeature("ImmutableWeakCaptures"),
]
let houseC: [CSetting] = [.treatAllWarnings(as: .error), .enableWarning("all")]

func library(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: house)
}
func program(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .executableTarget(name: name, dependencies: dependencies, swiftSettings: house)
}
func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .testTarget(name: name, dependencies: dependencies, swiftSettings: house)
}
func shim(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .target(name: name, dependencies: dependencies, cSettings: houseC)
}
func system(_ name: String, _ pkgConfig: String, apt: String, brew: String) -> Target {
  .systemLibrary(
    name: name, pkgConfig: pkgConfig, providers: [.apt([apt]), .brew([brew])])
}

// The layers of docs/architecture.md, lowest first. Imports go down only; TidyTests proves it.
let targets: [Target] = [
  // Layer 0: C. Each module is imported by exactly one Swift target, CPlatform and COpenSSL
  // excepted.
  shim("CPlatform"),
  system("CLibuv", "libuv", apt: "libuv1-dev", brew: "libuv"),
  system("COpenSSL", "libcrypto", apt: "libssl-dev", brew: "openssl@3"),
  system("CSSL", "openssl", apt: "libssl-dev", brew: "openssl@3"),
  shim("CTLS", ["CSSL"]),
  system("CSQLite", "sqlite3", apt: "libsqlite3-dev", brew: "sqlite"),
  system("CPostgres", "libpq", apt: "libpq-dev", brew: "libpq"),
  system("CLlama", "darkbloom-engine", apt: "cmake", brew: "cmake"),

  // Layer 1: base.
  library("BloomBase"),
  library("BloomPlatform", ["BloomBase", "CPlatform"]),

  // Layer 2: pure. No I/O, no clock.
  library("BloomWire", ["BloomBase"]),
  library("BloomCrypto", ["BloomBase", "BloomWire", "COpenSSL"]),
  library("BloomRecords", ["BloomBase", "BloomWire", "BloomCrypto"]),
  library("BloomHPKE", ["BloomBase", "BloomCrypto", "BloomRecords", "COpenSSL"]),
  library("BloomSeal", ["BloomBase", "BloomWire", "BloomCrypto", "BloomRecords", "BloomHPKE"]),
  library("BloomOpen", ["BloomBase", "BloomWire", "BloomCrypto", "BloomRecords", "BloomHPKE"]),
  library("BloomSchedule", ["BloomBase"]),
  library("BloomLedger", ["BloomBase"]),
  library("BloomLink", ["BloomBase", "BloomWire"]),
  library("BloomHTTP", ["BloomBase"]),
  library("BloomAPI", ["BloomBase", "BloomWire"]),

  // Layer 3: adapters.
  library("BloomNet", ["BloomBase", "BloomPlatform", "BloomHTTP", "CLibuv", "CTLS", "CPlatform"]),
  library("BloomStore", ["BloomBase", "BloomPlatform", "BloomLedger", "CSQLite"]),
  library("BloomStorePostgres", ["BloomBase", "BloomPlatform", "BloomLedger", "BloomStore", "CPostgres"]),
  library("BloomEngine", ["BloomBase"]),
  library("BloomEngineLlama", ["BloomBase", "BloomPlatform", "BloomEngine", "CLlama"]),
  library("BloomModels", ["BloomBase", "BloomPlatform", "BloomWire", "BloomCrypto"]),

  // Layer 4: services.
  library("BloomClient", ["BloomBase", "BloomPlatform", "BloomModels", "BloomWire", "BloomCrypto", "BloomRecords", "BloomSeal", "BloomAPI", "BloomHTTP", "BloomNet"]),
  library("BloomGateway", ["BloomBase", "BloomWire", "BloomCrypto", "BloomAPI", "BloomHTTP", "BloomNet", "BloomClient"]),
  library("BloomCoordinator", ["BloomBase", "BloomPlatform", "BloomWire", "BloomCrypto", "BloomRecords", "BloomModels", "BloomLink", "BloomSchedule", "BloomLedger", "BloomStore", "BloomStorePostgres", "BloomHTTP", "BloomNet"]),
  library("BloomNode", ["BloomBase", "BloomPlatform", "BloomWire", "BloomLink", "BloomCrypto", "BloomRecords", "BloomModels", "BloomHTTP", "BloomNet"]),
  library("BloomWorker", ["BloomBase", "BloomPlatform", "BloomWire", "BloomCrypto", "BloomRecords", "BloomHPKE", "BloomOpen", "BloomModels", "BloomEngine"]),

  // Layer 5: programs.
  program("darkbloom", ["BloomBase", "BloomPlatform", "BloomWire", "BloomCrypto", "BloomRecords", "BloomSeal", "BloomModels", "BloomHTTP", "BloomNet", "BloomClient", "BloomGateway", "BloomNode"]),
  program("darkbloom-coordinator", ["BloomPlatform", "BloomCoordinator"]),
  program("darkbloom-worker", ["BloomBase", "BloomPlatform", "BloomWire", "BloomModels", "BloomWorker", "BloomEngine", "BloomEngineLlama"]),

  // Tools. One bench program an area, so that each links only what it measures.
  library("BloomBench", ["BloomBase", "BloomPlatform", "BloomTestSupport", "BloomWire"]),
  library("BloomSim", ["BloomBase", "BloomWire", "BloomCrypto", "BloomRecords", "BloomLink", "BloomSchedule", "BloomLedger", "BloomStore", "BloomClient", "BloomNode", "BloomCoordinator"]),
  program("bloom-sim", ["BloomBase", "BloomPlatform", "BloomWire", "BloomSim"]),
  library("BloomChaos", ["BloomBase", "BloomPlatform", "BloomWire", "BloomCrypto", "BloomSeal", "BloomAPI", "BloomEngine", "BloomModels", "BloomLedger", "BloomStore", "BloomHTTP", "BloomNet", "BloomClient", "BloomNode", "BloomCoordinator"]),
  program("bloom-chaos", ["BloomBase", "BloomPlatform", "BloomTestSupport", "BloomChaos"]),
  program("scripted-worker", ["BloomEngine", "BloomWorker"]),
  program("bench-path", ["BloomBench", "BloomBase", "BloomPlatform", "BloomTestSupport", "BloomWire", "BloomEngine", "BloomEngineLlama", "BloomHTTP", "BloomNet", "BloomChaos"]),
  program("bench-net", ["BloomBench", "BloomPlatform", "BloomTestSupport", "BloomHTTP", "BloomNet"]),
  program("bench-seal", ["BloomBench", "BloomBase", "BloomWire", "BloomCrypto", "BloomRecords", "BloomHPKE", "BloomSeal", "BloomOpen", "COpenSSL"]),
  program("bench-engine", ["BloomBench", "BloomBase", "BloomPlatform", "BloomWire", "BloomHTTP", "BloomNet", "BloomEngine", "BloomEngineLlama"]),
  program("bench-schedule", ["BloomBench", "BloomBase", "BloomSchedule", "BloomSim"]),
  program("bench-ledger", ["BloomBench", "BloomBase", "BloomPlatform", "BloomTestSupport", "BloomLedger", "BloomStore", "BloomStorePostgres"]),

  program("bench-relay", ["BloomBench", "BloomBase", "BloomPlatform", "BloomTestSupport", "BloomWire", "BloomLink", "BloomCrypto", "BloomRecords", "BloomHPKE", "BloomSeal", "BloomOpen", "BloomHTTP", "BloomNet"]),

  // Victim and attacker of the hardening tests: protections are proven from outside.
  program("hardening-probe", ["BloomBase", "BloomPlatform", "CPlatform"]),
  program("ledger-crash", ["BloomBase", "BloomLedger", "BloomStore", "BloomStorePostgres"]),

  // Tests.
  library("BloomTestSupport", ["BloomBase", "BloomPlatform"]),
  library("BloomTestTraits"),
  tests("BloomBaseTests", ["BloomBase"]),
  tests("BloomPlatformTests", ["BloomBase", "BloomPlatform", "BloomTestSupport", "BloomTestTraits"]),
  tests("BloomWireTests", ["BloomBase", "BloomWire"]),
  tests("BloomCryptoTests", ["BloomBase", "BloomWire", "BloomCrypto", "BloomHPKE"]),
  tests("BloomSealTests", ["BloomBase", "BloomTestSupport", "BloomWire", "BloomCrypto", "BloomRecords", "BloomHPKE", "BloomSeal", "BloomOpen"]),
  tests("BloomScheduleTests", ["BloomBase", "BloomSchedule"]),
  tests("BloomLinkTests", ["BloomBase", "BloomWire", "BloomLink"]),
  tests("BloomSimTests", ["BloomBase", "BloomTestTraits", "BloomSim"]),
  tests("BloomLedgerTests", ["BloomBase", "BloomTestTraits", "BloomLedger"]),
  tests("BloomStoreTests", ["BloomBase", "BloomTestSupport", "BloomTestTraits", "BloomLedger", "BloomStore", "BloomStorePostgres"]),
  tests("BloomHTTPTests", ["BloomBase", "BloomHTTP"]),
  tests("BloomNetTests", ["BloomBase", "BloomHTTP", "BloomNet"]),
  tests("BloomAPITests", ["BloomBase", "BloomWire", "BloomAPI"]),
  tests("BloomEngineTests", ["BloomBase", "BloomWire", "BloomEngine", "BloomEngineLlama"]),
  tests("BloomModelsTests", ["BloomBase", "BloomCrypto", "BloomTestTraits", "BloomModels"]),
  tests("BloomWorkerTests", ["BloomBase", "BloomPlatform", "BloomTestSupport", "BloomTestTraits", "BloomNet", "BloomWire", "BloomCrypto", "BloomRecords", "BloomHPKE", "BloomSeal", "BloomModels", "BloomEngine", "BloomWorker"]),
  tests("BloomClientTests", ["BloomBase", "BloomPlatform", "BloomTestSupport", "BloomWire", "BloomCrypto", "BloomRecords", "BloomHPKE", "BloomSeal", "BloomOpen", "BloomModels", "BloomAPI", "BloomHTTP", "BloomNet", "BloomClient"]),
  tests("BloomGatewayTests", ["BloomBase", "BloomWire", "BloomAPI", "BloomHTTP", "BloomNet", "BloomClient", "BloomGateway"]),
  tests("BloomCoordinatorTests", ["BloomBase", "BloomPlatform", "BloomTestSupport", "BloomTestTraits", "BloomStorePostgres", "BloomWire", "BloomCrypto", "BloomRecords", "BloomHPKE", "BloomModels", "BloomSeal", "BloomOpen", "BloomLink", "BloomSchedule", "BloomLedger", "BloomStore", "BloomHTTP", "BloomNet", "BloomClient", "BloomCoordinator"]),
  tests("BloomNodeTests", ["BloomBase", "BloomPlatform", "BloomTestSupport", "BloomWire", "BloomCrypto", "BloomRecords", "BloomHPKE", "BloomSeal", "BloomAPI", "BloomModels", "BloomEngine", "BloomLedger", "BloomStore", "BloomHTTP", "BloomNet", "BloomClient", "BloomWorker", "BloomCoordinator", "BloomNode"]),
  tests("BloomBenchTests", ["BloomPlatform", "BloomTestSupport", "BloomWire", "BloomBench"]),
  tests("TidyTests", []),
  tests("EndToEndTests", ["BloomBase", "BloomPlatform", "BloomTestSupport", "BloomTestTraits", "BloomChaos", "BloomWire", "BloomModels", "BloomHTTP", "BloomNet"]),
  tests("BloomChaosTests", ["BloomPlatform", "BloomNet"]),
]

let package = Package(
  name: "darkbloom",
  platforms: [.macOS("15.0")],
  targets: targets,
  cxxLanguageStandard: .cxx17
)
