import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { createSchedule, SCHEDULES, type ScheduleName } from './index'

interface Fixture {
  by_step: {
    name: ScheduleName
    peak: number
    warmupSteps: number
    totalSteps: number
    kwargs: Record<string, unknown>
    rates: number[]
  }[]
  plateau: { kwargs: Record<string, unknown>; peaks: number[]; metrics: (number | null)[]; rates: number[][] }[]
}
const fixture: Fixture = JSON.parse(readFileSync(new URL('./fixtures/schedules.json', import.meta.url), 'utf8'))
const options = { warmupSteps: 0, totalSteps: 100, learningRate: 1e-3, kwargs: {}, greaterIsBetter: false }

// The same arithmetic in the same order; only the last bits of cosines and powers may differ between libraries.
const TOLERANCE = 1e-14

describe('every schedule over 100 steps against transformers', () => {
  it('has all of them in the fixture', () => {
    const covered = new Set([...fixture.by_step.map(({ name }) => name), 'reduce_lr_on_plateau'])
    expect([...covered].sort()).toEqual([...SCHEDULES].sort())
  })

  for (const { name, peak, rates, kwargs, ...steps } of fixture.by_step)
    it(`${name} ${JSON.stringify({ ...steps, ...kwargs })}`, () => {
      const schedule = createSchedule(name, { ...options, ...steps, learningRate: peak, kwargs })
      expect(rates).toHaveLength(100)
      rates.forEach((rate, step) => {
        expect(Math.abs(peak * schedule.factor(step) - rate), `step ${step}`).toBeLessThanOrEqual(TOLERANCE * peak)
      })
    })

  it('linear, constant and constant with warmup are exact', () => {
    for (const { name, peak, rates, kwargs, ...steps } of fixture.by_step) {
      if (!['linear', 'constant', 'constant_with_warmup'].includes(name)) continue
      const schedule = createSchedule(name, { ...options, ...steps, kwargs })
      expect(rates.map((_, step) => peak * schedule.factor(step))).toEqual(rates)
    }
  })
})

describe('reduce_lr_on_plateau against torch', () => {
  for (const { kwargs, peaks, metrics, rates } of fixture.plateau)
    it(JSON.stringify(kwargs), () => {
      const create = (learningRate: number) =>
        createSchedule('reduce_lr_on_plateau', { ...options, learningRate, kwargs })
      peaks.forEach((peak, group) => {
        let schedule = create(peak)
        metrics.forEach((metric, i) => {
          // As after a resume: the state goes through JSON into a new schedule.
          const saved = JSON.parse(JSON.stringify(schedule.state()))
          schedule = create(peak)
          schedule.load(saved)
          schedule.onMetric!(metric ?? Number.NaN)
          const want = rates[i]![group]!
          expect(Math.abs(peak * schedule.factor(i) - want), `metric ${i}`).toBeLessThanOrEqual(TOLERANCE * peak)
        })
      })
      expect(new Set(rates.map(([rate]) => rate)).size).toBeGreaterThan(1)
    })

  it('takes its direction from greaterIsBetter', () => {
    const schedule = createSchedule('reduce_lr_on_plateau', {
      ...options,
      greaterIsBetter: true,
      kwargs: { patience: 1, factor: 0.5 },
    })
    for (const metric of [1, 2, 3]) schedule.onMetric!(metric)
    expect(schedule.factor(0)).toBe(1)
    for (const metric of [2, 1]) schedule.onMetric!(metric)
    expect(schedule.factor(0)).toBe(0.5)
  })
})

describe('kwargs', () => {
  it('are checked, and may come in snake case', () => {
    const create = (name: ScheduleName, kwargs: Record<string, unknown>) => createSchedule(name, { ...options, kwargs })
    expect(() => create('cosine', { numCycle: 2 })).toThrow('did you mean "numCycles"')
    expect(() => create('cosine_with_min_lr', {})).toThrow('exactly one of minLr and minLrRate')
    expect(() => create('cosine_with_min_lr', { minLr: 1e-5, minLrRate: 0.1 })).toThrow('exactly one')
    expect(() => create('warmup_stable_decay', {})).toThrow('numDecaySteps')
    expect(() => create('polynomial', { lrEnd: 1 })).toThrow('must end below')
    expect(create('polynomial', { lr_end: 1e-4 }).factor(100)).toBeCloseTo(0.1, 12)
  })
})
