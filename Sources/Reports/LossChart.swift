// The curve of a run as an SVG picture: loss of each step, smoothed loss, validation loss, learning rate.

import Foundation
import Runs

/// Draws the curve of a run. The picture brings its own light background, so it reads on light and dark pages.
struct LossChart: Sendable {
    private let language: ReportLanguage
    private let training: ChartSeries
    private let smooth: ChartSeries
    private let window: Int
    private let validation: ChartSeries
    private let learningRate: ChartSeries
    private let best: (step: Int, loss: Double)?
    private let epochEnds: [(number: Int, step: Int)]
    private let steps: ChartScale
    private let loss: ChartScale
    private let rate: ChartScale
    /// Points above the scale, which would flatten the rest of the curve.
    private let above: Int

    /// In pixels, before any magnification.
    static let (width, height) = (960, 450)
    private static let (left, right, top, bottom) = (76.0, 878.0, 82.0, 396.0)

    /// Absent where no step has a loss.
    init?(_ history: RunHistory, language: ReportLanguage) {
        self.language = language
        training = ChartSeries(history.steps.map { ($0.step, $0.loss) })
        guard !training.points.isEmpty else { return nil }
        window = min(101, training.points.count / 20 * 2 + 1)
        smooth = training.smoothed(window: window)
        validation = ChartSeries(history.validations.map { ($0.step, $0.loss) })
        learningRate = ChartSeries(history.steps.map { ($0.step, $0.learningRate) })
        best = history.best
        epochEnds = history.epochs.filter(\.isComplete).map { ($0.number, $0.lastStep) }
        steps = ChartScale(0, Double(max(1, history.lastStep)), count: 8, isTight: true)
        (loss, above) = Self.lossScale(training, smooth, validation)
        rate = ChartScale(0, learningRate.points.map(\.value).max() ?? 0, count: 4)
    }

    /// The picture as text.
    var svg: String {
        var svg = SVGText()
        let (width, height) = (Self.width, Self.height)
        svg.line(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"\(width)\" height=\"\(height)\""
                + " viewBox=\"0 0 \(width) \(height)\" role=\"img\" font-family=\"\(SVGText.fonts)\" font-size=\"12\">")
        svg.line("<title>\(SVGText.escaped(summary))</title>")
        svg.line(
            "<clipPath id=\"plot\"><rect x=\"70\" y=\"76\" width=\"814\" height=\"326\"/></clipPath>")
        svg.line(
            "<rect x=\"0.5\" y=\"0.5\" width=\"959\" height=\"449\" rx=\"8\" fill=\"#ffffff\" stroke=\"#d0d7de\"/>")
        drawGrid(&svg)
        drawEpochs(&svg)
        drawCurves(&svg)
        drawHeading(&svg)
        svg.line("</svg>")
        return svg.text
    }

    /// The picture in words.
    var summary: String {
        guard let first = training.points.first, let last = training.points.last else { return "" }
        let (from, to) = (Numbers.loss(first.value), Numbers.loss(last.value))
        let (start, end) = (Numbers.integer(first.step), Numbers.integer(last.step))
        return language(
            "Training loss by step: \(from) at step \(start), \(to) at step \(end)",
            "各步训练损失:第 \(start) 步 \(from),第 \(end) 步 \(to)")
    }

    // MARK: - Parts

    private func x(_ step: Double) -> Double { steps.place(step, from: Self.left, to: Self.right) }
    private func y(_ value: Double) -> Double { loss.place(value, from: Self.bottom, to: Self.top) }
    private func rateY(_ value: Double) -> Double { rate.place(value, from: Self.bottom, to: Self.top) }

    private func drawGrid(_ svg: inout SVGText) {
        for tick in loss.ticks {
            let place = y(tick)
            svg.segment((Self.left, place), (Self.right, place), "stroke=\"#eaeef2\"")
            svg.label(loss.label(tick), (Self.left - 9, place + 4), anchor: "end", fill: "#57606a")
        }
        for tick in steps.ticks {
            svg.segment((x(tick), Self.bottom), (x(tick), Self.bottom + 5), "stroke=\"#8c959f\"")
            svg.label(steps.label(tick), (x(tick), Self.bottom + 20), anchor: "middle", fill: "#57606a")
        }
        svg.segment((Self.left, Self.bottom), (Self.right, Self.bottom), "stroke=\"#8c959f\"")
        svg.label(language("step", "步"), ((Self.left + Self.right) / 2, 437), anchor: "middle", fill: "#24292f")
        svg.label(language("loss", "损失"), (22, 239), anchor: "middle", fill: "#24292f", turned: true)
        guard !learningRate.points.isEmpty else { return }
        for tick in rate.ticks {
            svg.label(rate.label(tick), (Self.right + 9, rateY(tick) + 4), anchor: "start", fill: "#6e7781")
        }
        let name = language("learning rate", "学习率")
        svg.label(name, (946, 239), anchor: "middle", fill: "#6e7781", turned: true)
    }

    /// A dashed line at the end of each epoch, and its number above the plot where there is room.
    private func drawEpochs(_ svg: inout SVGText) {
        guard let last = epochEnds.last, epochEnds.count <= 60 else { return }
        let colour = epochEnds.count <= 12 ? "#afb8c1" : "#d8dee4"
        var start = Self.left
        for epoch in epochEnds {
            let end = x(Double(epoch.step))
            if epoch.number != last.number || end < Self.right - 1 {
                svg.segment((end, Self.top), (end, Self.bottom), "stroke=\"\(colour)\" stroke-dasharray=\"2 4\"")
            }
            let room = end - start
            let text = room > 70 ? language("epoch \(epoch.number)", "第 \(epoch.number) 轮") : "\(epoch.number)"
            if room > 20 {
                svg.label(text, ((start + end) / 2, Self.top - 7), anchor: "middle", fill: "#8c959f", size: 11)
            }
            start = end
        }
    }

    private func drawCurves(_ svg: inout SVGText) {
        svg.line("<g clip-path=\"url(#plot)\" fill=\"none\" stroke-linejoin=\"round\" stroke-linecap=\"round\">")
        let places = learningRate.thinned(to: 400).points.map { (x($0.step), rateY($0.value)) }
        svg.polyline(places, "stroke=\"#8c959f\" stroke-width=\"1.3\" stroke-dasharray=\"5 4\"")
        let raw = training.thinned(to: 800).points.map { (x($0.step), y($0.value)) }
        svg.polyline(raw, "stroke=\"#a5cdfa\" stroke-width=\"1.1\"")
        if training.points.count <= 150 { svg.dots(raw, radius: 1.8, "fill=\"#79b4f5\"") }
        let curve = smooth.thinned(to: 400).points.map { (x($0.step), y($0.value)) }
        if window > 1 { svg.polyline(curve, "stroke=\"#0b5cc4\" stroke-width=\"2.6\"") }
        let checked = validation.points.map { (x($0.step), y($0.value)) }
        svg.polyline(checked, "stroke=\"#d9730d\" stroke-width=\"2.2\"")
        if checked.count <= 100 {
            svg.dots(checked, radius: 3.6, "fill=\"#ffffff\" stroke=\"#d9730d\" stroke-width=\"2\"")
        }
        if let best {
            let place = (x(Double(best.step)), y(best.loss))
            svg.dots([place], radius: 4.4, "fill=\"#ffffff\" stroke=\"#1a7f37\" stroke-width=\"2.2\"")
        }
        svg.line("</g>")
    }

    private func drawHeading(_ svg: inout SVGText) {
        let title = language("Loss and learning rate", "损失与学习率")
        svg.line("<text x=\"24\" y=\"31\" font-size=\"16\" font-weight=\"600\" fill=\"#24292f\">\(title)</text>")
        if above > 0 {
            let limit = loss.label(loss.upper)
            let text = language(
                "\(above) \(above == 1 ? "point" : "points") above \(limit) not shown", "\(above) 个高于 \(limit) 的点未画出")
            svg.label(text, (936, 30), anchor: "end", fill: "#57606a")
        }
        var legend = SVGLegend(x: 24, y: 54)
        legend.line(language("loss of a step", "每步损失"), "stroke=\"#a5cdfa\" stroke-width=\"1.6\"")
        if window > 1 {
            let name = language("mean of \(window) steps", "\(window) 步平均")
            legend.line(name, "stroke=\"#0b5cc4\" stroke-width=\"2.6\"")
        }
        if !validation.points.isEmpty {
            legend.line(language("validation", "验证"), "stroke=\"#d9730d\" stroke-width=\"2.2\"")
        }
        if !learningRate.points.isEmpty {
            legend.line(language("learning rate", "学习率"), "stroke=\"#8c959f\" stroke-dasharray=\"5 4\"")
        }
        if let best {
            let value = Numbers.loss(best.loss)
            let name = language("best: \(value) at step \(best.step)", "最佳:\(value)(第 \(best.step) 步)")
            legend.ring(name, "fill=\"#ffffff\" stroke=\"#1a7f37\" stroke-width=\"2.2\"")
        }
        svg.line(legend.text)
    }

    /// From zero where the curve comes near it; without a few first points that dwarf the rest.
    private static func lossScale(
        _ training: ChartSeries, _ smooth: ChartSeries, _ validation: ChartSeries
    ) -> (ChartScale, Int) {
        let all = training.points + validation.points
        let low = all.map(\.value).min() ?? 0
        var high = all.map(\.value).max() ?? 1
        if training.points.count >= 50, let usual = training.quantile(0.98), high > low + 3 * (usual - low), usual > low
        {
            high = max(usual, validation.points.map(\.value).max() ?? usual)
        }
        let start = low >= 0 && low < 0.4 * high ? 0 : low
        let scale = ChartScale(start, high, count: 7)
        return (scale, all.count { $0.value > scale.upper })
    }
}
