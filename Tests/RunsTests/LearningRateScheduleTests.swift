// The learning-rate schedules against those of transformers.

import Foundation
import TestSupport
import Testing

@testable import Runs

@Suite("Learning rates match transformers")
struct LearningRateScheduleTests {
    private struct File: Decodable {
        let cases: [Case]
    }

    private struct Case: Decodable {
        let kind: String
        let warmup, total: Int
        let factors: [Double]
    }

    @Test("every step of every schedule, past the end too")
    func factors() throws {
        let data = try Data(contentsOf: goldens.appendingPathComponent("schedules.json"))
        let cases = try JSONDecoder().decode(File.self, from: data).cases
        #expect(cases.count == 12)
        for example in cases {
            let kind = try #require(ScheduleKind(rawValue: example.kind))
            let schedule = LearningRateSchedule(kind, warmupSteps: example.warmup, totalSteps: example.total)
            for (step, expected) in example.factors.enumerated() {
                let factor = schedule.factor(at: step)
                #expect(
                    abs(factor - expected) <= 1e-15, "\(example.kind) \(example.warmup)/\(example.total) at \(step)")
            }
        }
    }

    @Test("a ratio of warm-up is rounded up, and steps win over it")
    func warmup() {
        var options = ScheduleOptions()
        #expect(LearningRateSchedule(options, totalSteps: 101).warmupSteps == 4)
        options.warmupSteps = 7
        #expect(LearningRateSchedule(options, totalSteps: 101).warmupSteps == 7)
        options.warmupSteps = 0
        #expect(LearningRateSchedule(options, totalSteps: 101).factor(at: 0) == 1)
    }
}
