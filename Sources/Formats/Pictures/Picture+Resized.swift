// Pictures in other sizes, by Lanczos' kernel of three lobes, which is widened where a picture becomes smaller.
// Gives Pillow's numbers: https://github.com/python-pillow/Pillow/blob/main/src/libImaging/Resample.c

import Foundation

extension Picture {
    /// The picture in another size, of at least one pixel, by Lanczos' kernel; without its alpha.
    public func resized(to width: Int, _ height: Int) -> Picture {
        if (width, height) == (self.width, self.height) { return Picture(width: width, height: height, pixels: pixels) }
        // Two passes along the rows, each of which turns the picture.
        let turned = width == self.width ? transposed : alongRows(LanczosWindows(from: self.width, to: width))
        return height == self.height
            ? turned.transposed : turned.alongRows(LanczosWindows(from: self.height, to: height))
    }

    private var transposed: Picture { alongRows(LanczosWindows(copying: width)) }

    /// As many columns as there are windows; rows become columns.
    private func alongRows(_ windows: LanczosWindows) -> Picture {
        let (rows, columns) = (height, windows.starts.count)
        let result = [UInt8](unsafeUninitializedCapacity: 3 * rows * columns) { target, count in
            pixels.withUnsafeBufferPointer { source in
                windows.weights.withUnsafeBufferPointer { weights in
                    for row in 0..<rows {
                        for column in 0..<columns {
                            let sum = windows.sum(column, weights, source, row: 3 * row * width)
                            let place = 3 * (column * rows + row)
                            for band in 0..<3 { target[place + band] = UInt8(max(0, min(255, sum[band] + 0.5))) }
                        }
                    }
                }
            }
            count = 3 * rows * columns
        }
        return Picture(width: rows, height: columns, pixels: result)
    }
}

/// Which samples of a row each sample of the result is made of, and with what weights.
private struct LanczosWindows {
    /// The first sample of each window.
    private(set) var starts: [Int] = []
    /// Where the weights of each window begin; one more at the end.
    private var offsets = [0]
    /// The weights of all windows; those of a window add up to 1.
    private(set) var weights: [Float] = []

    /// Windows of one sample each.
    init(copying count: Int) {
        (starts, offsets, weights) = (Array(0..<count), Array(0...count), Array(repeating: 1, count: count))
    }

    init(from: Int, to: Int) {
        precondition(from > 0 && to > 0)
        let scale = Double(from) / Double(to)
        let width = max(1, scale)
        for index in 0..<to {
            let centre = (Double(index) + 0.5) * scale
            let first = max(0, Int(centre - 3 * width + 0.5))
            let last = min(from, Int(centre + 3 * width + 0.5))
            let window = (first..<last).map { Self.kernel((Double($0) - centre + 0.5) / width) }
            let sum = window.reduce(0, +)
            starts.append(first)
            weights += window.map { Float($0 / sum) }
            offsets.append(weights.count)
        }
    }

    private static func kernel(_ x: Double) -> Double {
        func sinc(_ x: Double) -> Double { x == 0 ? 1 : sin(x * .pi) / (x * .pi) }
        return abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0
    }

    /// Red, green and blue of a window of the row that begins at byte `row`.
    @inline(__always)
    func sum(
        _ window: Int, _ weights: UnsafeBufferPointer<Float>, _ source: UnsafeBufferPointer<UInt8>, row: Int
    ) -> SIMD4<Float> {
        var sum = SIMD4<Float>()
        var place = row + 3 * starts[window]
        for index in offsets[window]..<offsets[window + 1] {
            let pixel = SIMD4(Float(source[place]), Float(source[place + 1]), Float(source[place + 2]), 0)
            sum += weights[index] * pixel
            place += 3
        }
        return sum
    }
}
