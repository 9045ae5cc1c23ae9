// A report of a run folder.

import Foundation
import Runs

extension Report {
    /// The report of the run that lies in `layout`, from what its files say now.
    ///
    /// - Parameter path: the run folder as one types it; the configuration's `output_dir` where none is given.
    public init(_ layout: RunLayout, path: String? = nil) throws {
        let facts = try layout.readFacts()
        let configuration = try layout.readConfiguration()
        let shown = [
            "output_name": configuration.adapterName,
            "base_model": ModelCatalogue.path(configuration.model.baseModel),
        ]
        self.init(
            config: configuration.entries.map { ($0.key, shown[$0.key] ?? $0.value) }, facts: facts,
            events: try layout.readEvents(), runPath: path ?? configuration.run.outputDirectory
        )
    }
}
