// Grids of pictures: labels in lines, one cell for each picture.

import Formats
import Foundation
import TestSupport
import Testing

@testable import Reports

@Suite("Grids of pictures")
struct PictureGridTests {
    @Test("labels are cut into lines at spaces, long words inside, and what has no room is marked")
    func wrapping() {
        #expect(
            PictureGrid.wrapped("emoji of red apple, food", width: 12, atMost: 9) == ["emoji of red", "apple, food"])
        #expect(PictureGrid.wrapped("abcdefghij", width: 4, atMost: 9) == ["abcd", "efgh", "ij"])
        #expect(PictureGrid.wrapped("水墨画的猫", width: 4, atMost: 9) == ["水墨", "画的", "猫"])
        #expect(PictureGrid.wrapped("one two three four", width: 5, atMost: 2) == ["one", "two…"])
        let stacked = "e" + String(repeating: "\u{301}", count: 40)
        #expect(PictureGrid.wrapped(stacked, width: 4, atMost: 2) == [stacked])
        #expect(PictureGrid.wrapped("", width: 5, atMost: 2).isEmpty)
    }

    @Test("every picture stands in its cell, small ones enlarged", .enabled(if: canReadPictures, "libvips is not here"))
    func cells() throws {
        func plain(_ colour: [UInt8]) -> Picture {
            Picture(width: 64, height: 64, pixels: (0..<64 * 64).flatMap { _ in colour })
        }
        let colours: [[[UInt8]]] = [[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [9, 9, 9]]]
        let rows = colours.map { PictureGrid.Row(name: "x & <y>", pictures: $0.map(plain)) }
        try withTemporaryFolder { folder in
            let url = folder.appendingPathComponent("grid.png")
            try PictureGrid(rows, columns: ["base model", "strength 1.0"]).png().write(to: url)
            let grid = try Picture(contentsOf: url)
            #expect((grid.width, grid.height) == (210 + 2 * 192 + 8 + 20, 50 + 2 * 192 + 8 + 20))
            for (row, line) in colours.enumerated() {
                for (column, colour) in line.enumerated() {
                    let (x, y) = (210 + column * 200 + 96, 50 + row * 200 + 96)
                    let place = 3 * (y * grid.width + x)
                    #expect(Array(grid.pixels[place..<place + 3]) == colour)
                }
            }
        }
    }
}
