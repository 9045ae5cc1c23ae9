// swift-tools-version: 6.1
import PackageDescription

// libtorch is found through pkg-config; `./lora` writes the file. Targets without it build and test in seconds.
let package = Package(
    name: "lora",
    platforms: [.macOS(.v14)],
    products: [
        .executable(name: "lora", targets: ["Front"]),
        .executable(name: "lora-engine", targets: ["Engine"]),
        .library(name: "Torch", targets: ["Torch"]),
        .library(name: "NN", targets: ["NN"]),
        .library(name: "LoRA", targets: ["LoRA"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    ],
    targets: [
        // C and C++
        .systemLibrary(name: "libtorch", pkgConfig: "libtorch"),
        .target(name: "CBlocks"),
        .target(name: "CPictures"),
        .target(name: "CTorch", dependencies: ["libtorch"]),
        .target(name: "Kernels", dependencies: ["libtorch", "CBlocks"]),

        // Without the tensor engine
        .target(name: "Formats", dependencies: ["CBlocks", "CPictures"]),
        .target(name: "Tokenizers", dependencies: ["Formats"]),
        .target(name: "Datasets", dependencies: ["Formats", "Tokenizers"]),
        .target(name: "Runs", dependencies: ["Formats", .product(name: "Yams", package: "Yams")]),
        .target(name: "Reports", dependencies: ["Formats", "Runs"]),
        .target(
            name: "Commands",
            dependencies: ["Runs", .product(name: "ArgumentParser", package: "swift-argument-parser")]
        ),
        .executableTarget(name: "Front", dependencies: ["Commands", "Reports"]),

        // With the tensor engine
        .target(name: "Torch", dependencies: ["CTorch", "Kernels"]),
        .target(name: "NN", dependencies: ["Formats", "Torch"]),
        .target(name: "LoRA", dependencies: ["Formats", "NN", "Torch"]),
        .target(name: "Models", dependencies: ["Formats", "NN", "Tokenizers", "Torch"]),
        .target(name: "Training", dependencies: ["Formats", "Runs", "Torch"]),
        .target(
            name: "Recipes",
            dependencies: [
                "Commands", "Datasets", "Formats", "LoRA", "Models", "NN", "Reports", "Runs", "Tokenizers", "Torch",
                "Training",
            ]
        ),
        .executableTarget(name: "Engine", dependencies: ["Commands", "Recipes"]),

        // Tests
        .target(name: "TestSupport", dependencies: ["Formats"], path: "Tests/TestSupport"),
        .testTarget(name: "FormatsTests", dependencies: ["Formats", "TestSupport"]),
        .testTarget(name: "TokenizersTests", dependencies: ["Tokenizers", "TestSupport"]),
        .testTarget(name: "DatasetsTests", dependencies: ["Datasets", "TestSupport"]),
        .testTarget(name: "RunsTests", dependencies: ["Runs", "TestSupport"]),
        .testTarget(name: "ReportsTests", dependencies: ["Reports", "TestSupport"]),
        .testTarget(name: "TorchTests", dependencies: ["NN", "Torch", "TestSupport"]),
        .testTarget(name: "ModelsTests", dependencies: ["LoRA", "Models", "TestSupport"]),
        .testTarget(name: "TrainingTests", dependencies: ["LoRA", "Models", "Training", "TestSupport"]),
        .testTarget(name: "CommandTests", dependencies: ["Commands", "TestSupport"]),
    ],
    swiftLanguageModes: [.v6],
    cxxLanguageStandard: .cxx17
)

// The layout of a module's types reaches modules that never name it, but only the targets that a target names make it
// compile again: without this, a build after a change could mix two layouts.
let named = Dictionary(uniqueKeysWithValues: package.targets.map { ($0.name, $0.dependencies) })
func everything(_ dependencies: [Target.Dependency]) -> [Target.Dependency] {
    dependencies.flatMap { dependency -> [Target.Dependency] in
        guard case .byNameItem(let name, _) = dependency else { return [dependency] }
        return [dependency] + everything(named[name] ?? [])
    }
}
for target in package.targets {
    var seen: Set<String> = []
    target.dependencies = everything(target.dependencies).filter { seen.insert("\($0)").inserted }
}
