// swift-tools-version: 6.2
import PackageDescription

// The benchmarks: a package of its own, so that nobody who uses the library builds them or what they need.
// `make bench` builds and runs it; Docs/Benchmarks.md says what it measures.

let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .treatAllWarnings(as: .error),
]

let package = Package(
    name: "swift-smc-benchmarks",
    dependencies: [
        .package(name: "swift-smc", path: "../.."),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
    ],
    targets: [
        // What we are compared with, in plain C.
        .target(name: "CBaseline"),
        .executableTarget(
            name: "Benchmarks",
            dependencies: [
                "CBaseline",
                .product(name: "SMC", package: "swift-smc"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Histogram", package: "hdrhistogram-swift"),
            ],
            swiftSettings: settings),
        // How long setting a connection up takes.
        .executableTarget(
            name: "SetupBenchmark",
            dependencies: [
                .product(name: "SMC", package: "swift-smc"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: settings),
    ],
    swiftLanguageModes: [.v6]
)
