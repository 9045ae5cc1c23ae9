// The curve: scales, thinning, smoothing, the whole SVG, the PNG.

import Formats
import Foundation
import Testing

@testable import Reports
@testable import Runs

@Suite("The curve")
struct ChartTests {
    @Test("is the same text for the same run", arguments: ReportLanguage.allCases)
    func svg(language: ReportLanguage) throws {
        let chart = try #require(LossChart(RunHistory(SampleRun.finished), language: language))
        try expectSnapshot(chart.svg, "curve-\(language.rawValue).svg")
    }

    @Test("is well-formed XML")
    func wellFormed() throws {
        let svg = try #require(LossChart(RunHistory(SampleRun.finished), language: .zh)).svg
        let opened = svg.components(separatedBy: "<").dropFirst().filter { !$0.hasPrefix("/") && !$0.contains("/>") }
        let closed = svg.components(separatedBy: "</").dropFirst()
        #expect(opened.count == closed.count)
        #expect(!svg.contains("nan") && !svg.contains("inf"))
    }

    @Test("is absent where no step has a loss")
    func absent() {
        #expect(LossChart(RunHistory([]), language: .en) == nil)
    }

    @Test("says how many points it leaves out above")
    func outliers() throws {
        var events = (1...100).map(SampleRun.step)
        events[0].loss = 900
        let svg = try #require(LossChart(RunHistory(events), language: .en)).svg
        #expect(svg.contains(">1 point above "))
    }

    @Test(
        "has round ticks that enclose the values",
        arguments: [(0, 3.04), (0.4, 0.47), (0, 2e-4), (-3, 5), (1e6, 3e6), (5, 5), (0, 0), (-1, -1), (1e-30, 3e-30)])
    func scale(low: Double, high: Double) {
        let scale = ChartScale(low, high, count: 5)
        #expect(scale.lower <= low && scale.upper >= high && scale.lower < scale.upper)
        #expect((2...12).contains(scale.ticks.count))
        #expect(Set(scale.ticks.map(scale.label)).count == scale.ticks.count, "\(scale.ticks.map(scale.label))")
    }

    @Test("has whole steps on its lower axis")
    func steps() {
        #expect(ChartScale(0, 3, count: 8, isTight: true).ticks == [0, 1, 2, 3])
        let scale = ChartScale(0, 130, count: 8, isTight: true)
        #expect(scale.ticks == [0, 20, 40, 60, 80, 100, 120])
        #expect(scale.upper == 130)
    }

    @Test("loses no peak when it is thinned")
    func thinned() {
        let points = (0..<10_000).map { ChartPoint(step: Double($0), value: $0 == 7777 ? 9 : $0 == 123 ? -9 : 0) }
        let thin = ChartSeries(points: points).thinned(to: 400)
        #expect(thin.points.count <= 402)
        #expect(thin.points.contains { $0.step == 7777 } && thin.points.contains { $0.step == 123 })
        #expect(thin.points.map(\.step) == thin.points.map(\.step).sorted())
        #expect(thin.points.last?.step == 9999)
    }

    @Test("is smoothed by means of as many points on either side")
    func smoothed() {
        let series = ChartSeries(points: [1, 2, 6, 3, 8].enumerated().map { ChartPoint(step: Double($0), value: $1) })
        let means = series.smoothed(window: 5).points.map(\.value)
        #expect(zip(means, [1, 3, 4, 17.0 / 3, 8]).allSatisfy { abs($0 - $1) < 1e-12 })
    }

    // MARK: - PNG

    @Test("becomes a PNG where libvips is there")
    func png() throws {
        guard (try? Picture.requireLibrary()) != nil else { return }
        let svg = try #require(LossChart(RunHistory(SampleRun.finished), language: .en)).svg
        let png = [UInt8](try Picture.png(svg: svg, scale: 1.5))
        #expect(png.prefix(8) == [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
        #expect(png[16..<24] == [0, 0, 0x05, 0xa0, 0, 0, 0x02, 0xa3])  // 1440 × 675
        #expect(png.count > 10_000)
    }
}
