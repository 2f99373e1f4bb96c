// swift-tools-version: 6.2
import PackageDescription

// The architecture in one file: each target lists all that it may import. The rule is drawn in Docs/Architecture.md
// and held by Tests/TidyTests.

let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
]

// Swift Testing's macro expansions trip the strict memory safety check, so tests go without it.
let testing: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .treatAllWarnings(as: .error),
]

let package = Package(
    name: "swift-smc",
    products: [
        .library(name: "SMC", targets: ["SMC"]),
        .executable(name: "smc", targets: ["smc"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    ],
    targets: [
        // C libraries made visible to Swift.
        .systemLibrary(
            name: "CIBVerbs", path: "Modules/CIBVerbs", pkgConfig: "libibverbs",
            providers: [.apt(["libibverbs-dev"])]),
        .systemLibrary(
            name: "CRDMACM", path: "Modules/CRDMACM", pkgConfig: "librdmacm",
            providers: [.apt(["librdmacm-dev"])]),
        .target(name: "CSMCShims"),

        // The pure column: bytes and decisions, no I/O.
        .target(name: "SMCWire", swiftSettings: strict),
        .target(name: "SMCProtocol", dependencies: ["SMCWire"], swiftSettings: strict),

        // The system column: Linux, memory, verbs; no SMC messages.
        .target(
            name: "SMCSystem",
            dependencies: ["CSMCShims", .product(name: "HeapModule", package: "swift-collections")],
            swiftSettings: strict),
        .target(name: "SMCMemory", dependencies: ["SMCSystem"], swiftSettings: strict),
        .target(name: "SMCVerbs", dependencies: ["SMCSystem", "CIBVerbs", "CRDMACM"], swiftSettings: strict),

        // They meet here, and only here.
        .target(name: "SMCControl", dependencies: ["SMCWire", "SMCSystem"], swiftSettings: strict),
        .target(
            name: "SMCTransport",
            dependencies: ["SMCWire", "SMCProtocol", "SMCSystem", "SMCMemory", "SMCVerbs", "SMCControl"],
            swiftSettings: strict),
        .target(
            name: "SMCHypervisor",
            dependencies: [
                "SMCWire", "SMCSystem", "SMCMemory", "SMCControl",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict),

        // The hypervisor's configuration file. Apart, because the library for its format is not to be linked into users'
        // programs.
        .target(
            name: "SMCConfigurationFile",
            dependencies: ["SMCWire", "SMCHypervisor", .product(name: "Yams", package: "Yams")],
            swiftSettings: strict),

        // What users meet.
        .target(
            name: "SMC",
            dependencies: ["SMCTransport", "SMCWire", "SMCProtocol", "SMCSystem", "SMCMemory", "SMCControl"],
            swiftSettings: strict),
        .executableTarget(
            name: "smc",
            dependencies: [
                "SMC", "SMCControl", "SMCWire", "SMCSystem", "SMCHypervisor", "SMCConfigurationFile",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Histogram", package: "hdrhistogram-swift"),
            ],
            swiftSettings: strict),

        // What tests share.
        .target(name: "SMCTesting", dependencies: ["SMCWire"], swiftSettings: strict),

        // Examples, built so that they cannot rot; not products.
        .executableTarget(
            name: "echo-example", dependencies: ["SMC"], path: "Docs/Examples/echo", swiftSettings: strict),

        // Programs that the lab of virtual machines runs; not products.
        .executableTarget(
            name: "verbs-probe", dependencies: ["SMCVerbs", "SMCSystem"], path: "Tests/Helpers/VerbsProbe",
            swiftSettings: testing),

        // Fills a hypervisor's books; the tests and Tests/Benchmarks/hypervisor-scale run it.
        .executableTarget(
            name: "hypervisor-load", dependencies: ["SMCControl", "SMCWire", "SMCSystem"],
            path: "Tests/Helpers/HypervisorLoad", swiftSettings: testing),

        // A peer that breaks every rule; IntegrationTests run it.
        .executableTarget(
            name: "hostile-peer",
            dependencies: [
                "SMCTransport", "SMCProtocol", "SMCControl", "SMCWire", "SMCMemory", "SMCSystem", "SMCTesting",
            ], path: "Tests/Helpers/HostilePeer", swiftSettings: testing),

        // What `Tests/Fuzz/fuzz` runs with coverage, and the tests replay; not a product.
        .target(
            name: "FuzzTargets", dependencies: ["SMCHypervisor", "SMCWire", "SMCTesting"], path: "Tests/Fuzz/Targets",
            swiftSettings: testing),
        .testTarget(
            name: "FuzzTests", dependencies: ["FuzzTargets"], path: "Tests/Fuzz/Replay", swiftSettings: testing),
        // A peer that keeps what it was given, as a process of its own; not a product.
        .executableTarget(
            name: "keeping-peer", dependencies: ["SMCControl", "SMCSystem", "SMCWire"],
            path: "Tests/Helpers/KeepingPeer", swiftSettings: testing),

        .testTarget(name: "SMCWireTests", dependencies: ["SMCWire", "SMCTesting"], swiftSettings: testing),
        .testTarget(
            name: "SMCProtocolTests", dependencies: ["SMCProtocol", "SMCWire", "SMCTesting"], swiftSettings: testing),
        .testTarget(name: "SMCSystemTests", dependencies: ["SMCSystem"], swiftSettings: testing),
        .testTarget(
            name: "SMCMemoryTests", dependencies: ["SMCMemory", "SMCSystem", "SMCTesting"], swiftSettings: testing),
        .testTarget(name: "SMCVerbsTests", dependencies: ["SMCVerbs"], swiftSettings: testing),
        .testTarget(
            name: "SMCHypervisorTests",
            dependencies: [
                "SMCHypervisor", "SMCControl", "SMCWire", "SMCSystem", "SMCMemory", "SMCTesting", "keeping-peer",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: testing),
        .testTarget(
            name: "SMCConfigurationFileTests",
            dependencies: ["SMCConfigurationFile", "SMCHypervisor", "SMCWire"], swiftSettings: testing),
        .testTarget(
            name: "SMCTransportTests",
            dependencies: [
                "SMC", "SMCTransport", "SMCProtocol", "SMCHypervisor", "SMCControl", "SMCWire", "SMCSystem",
                "SMCMemory", "SMCTesting", .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: testing),
        .testTarget(
            name: "IntegrationTests",
            dependencies: ["smc", "hostile-peer", "hypervisor-load", "SMC", "SMCControl", "SMCSystem", "SMCWire"],
            swiftSettings: testing),
        .testTarget(name: "TidyTests", swiftSettings: testing),
    ],
    swiftLanguageModes: [.v6]
)
