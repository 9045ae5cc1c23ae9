// The few marks of SVG that the charts are made of.

import Foundation

/// An SVG document being written.
struct SVGText {
    static let fonts = "-apple-system, 'Segoe UI', 'DejaVu Sans', 'Noto Sans', Helvetica, Arial, sans-serif"

    private(set) var text = ""

    mutating func line(_ mark: String) {
        text += mark
        text += "\n"
    }

    mutating func segment(_ from: (Double, Double), _ to: (Double, Double), _ style: String) {
        let (x1, y1) = (Self.number(from.0), Self.number(from.1))
        let (x2, y2) = (Self.number(to.0), Self.number(to.1))
        line("<line x1=\"\(x1)\" y1=\"\(y1)\" x2=\"\(x2)\" y2=\"\(y2)\" \(style)/>")
    }

    mutating func polyline(_ places: [(Double, Double)], _ style: String) {
        guard places.count > 1 else { return }
        let list = places.map { "\(Self.number($0.0)),\(Self.number($0.1))" }.joined(separator: " ")
        line("<polyline \(style) points=\"\(list)\"/>")
    }

    mutating func dots(_ places: [(Double, Double)], radius: Double, _ style: String) {
        guard !places.isEmpty else { return }
        line("<g \(style)>")
        for (x, y) in places {
            line("<circle cx=\"\(Self.number(x))\" cy=\"\(Self.number(y))\" r=\"\(Self.number(radius))\"/>")
        }
        line("</g>")
    }

    mutating func label(
        _ words: String, _ place: (Double, Double), anchor: String, fill: String, size: Int = 12, turned: Bool = false
    ) {
        let (x, y) = (Self.number(place.0), Self.number(place.1))
        let turn = turned ? " transform=\"rotate(-90 \(x) \(y))\"" : ""
        let points = size == 12 ? "" : " font-size=\"\(size)\""
        let words = Self.escaped(words)
        line("<text x=\"\(x)\" y=\"\(y)\" text-anchor=\"\(anchor)\" fill=\"\(fill)\"\(points)\(turn)>\(words)</text>")
    }

    /// One decimal, without the formatter's cost: a curve has thousands of numbers.
    static func number(_ value: Double) -> String {
        let tenths = Numbers.integer((value * 10).rounded())
        let (whole, rest) = tenths.magnitude.quotientAndRemainder(dividingBy: 10)
        return (tenths < 0 ? "-" : "") + (rest == 0 ? "\(whole)" : "\(whole).\(rest)")
    }

    static func escaped(_ words: String) -> String {
        words.replacingOccurrences(of: "&", with: "&amp;").replacingOccurrences(of: "<", with: "&lt;")
            .replacingOccurrences(of: ">", with: "&gt;")
    }
}

/// A row of samples with their names.
struct SVGLegend {
    private var svg = SVGText()
    private var x: Double
    private let y: Double

    init(x: Double, y: Double) { (self.x, self.y) = (x, y) }

    var text: String { svg.text.trimmingCharacters(in: .newlines) }

    mutating func line(_ name: String, _ style: String) {
        svg.segment((x, y - 4), (x + 26, y - 4), style)
        word(name, after: 34)
    }

    mutating func ring(_ name: String, _ style: String) {
        svg.dots([(x + 6, y - 4)], radius: 4.4, style)
        word(name, after: 18)
    }

    /// Fonts differ from viewer to viewer: the room is for a wide one.
    private mutating func word(_ name: String, after space: Double) {
        svg.label(name, (x + space, y), anchor: "start", fill: "#424a53")
        let room = name.unicodeScalars.reduce(0.0) { $0 + ($1.value > 0x2e80 ? 12.5 : 7.3) }
        x += space + room + 18
    }
}
