// Pictures beside each other with their names: a row for each prompt, a column for each strength.

import Formats
import Foundation

/// A table of pictures as one picture.
public struct PictureGrid {
    /// A row: what was asked, and a picture for each column.
    public struct Row {
        let name: String
        let pictures: [Picture]

        /// Makes a row of pictures of one size.
        public init(name: String, pictures: [Picture]) { (self.name, self.pictures) = (name, pictures) }
    }

    private let rows: [Row]
    private let columns: [String]

    /// Sides of a picture in the grid: small ones are enlarged, large ones reduced.
    private static let (smallest, largest) = (192, 384)
    private static let (margin, gap, heading, nameWidth) = (20, 8, 30, 190)

    /// Makes a grid; all pictures have one size.
    public init(_ rows: [Row], columns: [String]) { (self.rows, self.columns) = (rows, columns) }

    /// The grid as a PNG file.
    public func png() throws -> Data { try Picture.png(svg: svg(), scale: 1) }

    private func svg() throws -> String {
        guard let first = rows.first?.pictures.first else {
            throw PictureError.failed(path: nil, problem: "no pictures")
        }
        let longer = Double(max(first.width, first.height))
        let factor = min(max(1, (Double(Self.smallest) / longer).rounded(.up)), Double(Self.largest) / longer)
        let (width, height) = (Int(Double(first.width) * factor), Int(Double(first.height) * factor))
        let left = Self.margin + Self.nameWidth, top = Self.margin + Self.heading
        let right = left + columns.count * (width + Self.gap) - Self.gap + Self.margin
        let bottom = top + rows.count * (height + Self.gap) - Self.gap + Self.margin
        var svg = SVGText()
        svg.line(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"\(right)\" height=\"\(bottom)\""
                + " font-family=\"\(SVGText.fonts)\" font-size=\"14\">")
        for (index, name) in columns.enumerated() {
            let x = Double(left + index * (width + Self.gap)) + Double(width) / 2
            svg.label(name, (x, Double(top) - 12), anchor: "middle", fill: "#24292f", size: 14)
        }
        for (index, row) in rows.enumerated() {
            try draw(row, at: (left, top + index * (height + Self.gap)), size: (width, height), &svg)
        }
        svg.line("</svg>")
        return svg.text
    }

    private func draw(
        _ row: Row, at place: (x: Int, y: Int), size: (width: Int, height: Int), _ svg: inout SVGText
    ) throws {
        let lines = Self.wrapped(row.name, width: 24, atMost: max(1, size.height / 20))
        for (number, line) in lines.enumerated() {
            let start = (Double(Self.margin), Double(place.y + 16 + 19 * number))
            svg.label(line, start, anchor: "start", fill: "#24292f", size: 14)
        }
        for (column, picture) in row.pictures.enumerated() {
            let data = try picture.resized(to: min(size.width, picture.width), min(size.height, picture.height)).png()
            svg.line(
                "<image x=\"\(place.x + column * (size.width + Self.gap))\" y=\"\(place.y)\" width=\"\(size.width)\""
                    + " height=\"\(size.height)\" href=\"data:image/png;base64,\(data.base64EncodedString())\"/>")
        }
    }

    /// Words in lines of about `width` letters, wide letters counted twice; what has no room is cut with a mark.
    static func wrapped(_ text: String, width: Int, atMost limit: Int) -> [String] {
        func room(_ text: Substring) -> Int { text.unicodeScalars.reduce(0) { $0 + ($1.value > 0x2e80 ? 2 : 1) } }
        var lines: [String] = []
        var line = ""
        for word in text.split(whereSeparator: \.isWhitespace) {
            var rest = word
            if !line.isEmpty, room(line[...]) + 1 + room(rest) <= width {
                line += " " + rest
                continue
            }
            if !line.isEmpty { lines.append(line) }
            while rest.count > 1, room(rest) > width {
                var part = rest
                while part.count > 1, room(part) > width { part.removeLast() }
                lines.append(String(part))
                rest = rest[part.endIndex...]
            }
            line = String(rest)
        }
        if !line.isEmpty { lines.append(line) }
        guard lines.count > limit else { return lines }
        return Array(lines.prefix(limit - 1)) + [lines[limit - 1].prefix(width - 1) + "…"]
    }
}
