// Comparing arrays of numbers element by element.

import Testing

/// Expects `|actual - expected| ≤ atol + rtol · |expected|` of every element; reports the worst one. NaN equals nothing.
public func expectClose(
    actual: [Float], expected: [Float], atol: Float = 1e-5, rtol: Float = 1e-5, _ what: String = "",
    sourceLocation: SourceLocation = #_sourceLocation
) {
    let name = what.isEmpty ? "" : "\(what): "
    guard actual.count == expected.count else {
        Issue.record("\(name)\(actual.count) elements, expected \(expected.count)", sourceLocation: sourceLocation)
        return
    }
    var worst = (index: -1, excess: Float(0))
    for (index, (a, e)) in zip(actual, expected).enumerated() where a != e {
        let excess = Swift.abs(a - e) - atol - rtol * Swift.abs(e)
        if excess.isNaN || excess > worst.excess { worst = (index, excess.isNaN ? .infinity : excess) }
    }
    guard worst.index >= 0 else { return }
    let (a, e) = (actual[worst.index], expected[worst.index])
    Issue.record(
        "\(name)element \(worst.index) of \(actual.count) is \(a), expected \(e) ± \(atol + rtol * Swift.abs(e))",
        sourceLocation: sourceLocation)
}
