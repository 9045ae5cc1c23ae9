// Series of points for a chart: smoothing, and thinning to what a picture can show.

/// A point of a curve: a step and a value.
struct ChartPoint: Sendable, Equatable {
    var step: Double
    var value: Double
}

/// A curve's points in order of their steps.
struct ChartSeries: Sendable, Equatable {
    var points: [ChartPoint]

    /// The finite values of (step, value) pairs.
    init(_ pairs: [(step: Int, value: Double?)]) {
        points = pairs.compactMap { pair in
            guard let value = pair.value, value.isFinite else { return nil }
            return ChartPoint(step: Double(pair.step), value: value)
        }
    }

    init(points: [ChartPoint]) { self.points = points }

    /// The mean of `window` points around each point; fewer, but as many on either side, near the ends.
    func smoothed(window: Int) -> ChartSeries {
        let half = window / 2
        guard half > 0, points.count > 1 else { return self }
        var sums = [0.0]
        sums.reserveCapacity(points.count + 1)
        for point in points { sums.append((sums.last ?? 0) + point.value) }
        let means = points.indices.map { index in
            let reach = min(half, index, points.count - 1 - index)
            let sum = sums[index + reach + 1] - sums[index - reach]
            return ChartPoint(step: points[index].step, value: sum / Double(2 * reach + 1))
        }
        return ChartSeries(points: means)
    }

    /// At most about `limit` points: of each stretch the lowest and the highest, so that no peak is lost.
    func thinned(to limit: Int) -> ChartSeries {
        guard points.count > limit, limit >= 2 else { return self }
        let stretch = (points.count * 2 + limit - 1) / limit
        var kept: [ChartPoint] = []
        for start in stride(from: 0, to: points.count, by: stretch) {
            let part = points[start..<min(start + stretch, points.count)]
            let low = part.indices.min { points[$0].value < points[$1].value } ?? start
            let high = part.indices.max { points[$0].value < points[$1].value } ?? start
            kept.append(points[min(low, high)])
            if low != high { kept.append(points[max(low, high)]) }
        }
        if let last = points.last, kept.last != last { kept.append(last) }
        return ChartSeries(points: kept)
    }

    /// The value below which the share of the values lies.
    func quantile(_ share: Double) -> Double? {
        guard !points.isEmpty else { return nil }
        let sorted = points.map(\.value).sorted()
        return sorted[min(sorted.count - 1, Int(share * Double(sorted.count)))]
    }
}
