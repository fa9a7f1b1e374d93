import type { ScheduleKwargs, ScheduleName } from './kwargs'

/** What a schedule knows of the training. */
export interface FactorContext {
  /** Steps over which the factor rises from 0 to 1. */
  warmupSteps: number
  totalSteps: number
  /** The peak, for schedules with an absolute lowest rate. */
  learningRate: number
}

/** The factor on the peak learning rate at a step, 0 being the first, with transformers' arithmetic in its order. */
type FactorOf<Name extends ScheduleName> = (
  step: number,
  context: FactorContext,
  kwargs: ScheduleKwargs<Name>,
) => number

const warmup = (step: number, warmupSteps: number) => step / Math.max(1, warmupSteps)

/** The linear rise from 0 that almost all schedules begin with, and then `factor`. */
const afterWarmup =
  <Name extends ScheduleName>(factor: FactorOf<Name>): FactorOf<Name> =>
  (step, context, kwargs) =>
    step < context.warmupSteps ? warmup(step, context.warmupSteps) : factor(step, context, kwargs)

/** How much of the way from the end of the warmup to `totalSteps` is done; 1 at the end, more after it. */
const progress = (step: number, { warmupSteps, totalSteps }: FactorContext) =>
  (step - warmupSteps) / Math.max(1, totalSteps - warmupSteps)

/** `cycles` cosine waves over `done` 0 to 1; half a wave falls from 1 to 0. */
const wave = (cycles: number, done: number) => 0.5 * (1 + Math.cos(Math.PI * cycles * 2 * done))

const between = (factor: number, lowest: number) => factor * (1 - lowest) + lowest

/** The kwargs allow exactly one of the two. */
const lowestFactor = ({ minLr, minLrRate }: { minLr?: number; minLrRate?: number }, { learningRate }: FactorContext) =>
  minLr === undefined ? minLrRate! : minLr / learningRate

/** The schedules that follow from the step alone, by transformers' name. */
export const FACTORS: { [Name in Exclude<ScheduleName, 'reduce_lr_on_plateau'>]: FactorOf<Name> } = {
  /** A straight line to 0 at `totalSteps`: `get_linear_schedule_with_warmup`. */
  linear: afterWarmup((step, { warmupSteps, totalSteps }) =>
    Math.max(0, (totalSteps - step) / Math.max(1, totalSteps - warmupSteps)),
  ),

  /** `get_cosine_schedule_with_warmup` */
  cosine: afterWarmup((step, context, { numCycles }) => Math.max(0, wave(numCycles, progress(step, context)))),

  /** Starts again from the peak `numCycles` times: `get_cosine_with_hard_restarts_schedule_with_warmup`. */
  cosine_with_restarts: afterWarmup((step, context, { numCycles }) => {
    const done = progress(step, context)
    return done >= 1 ? 0 : Math.max(0, 0.5 * (1 + Math.cos(Math.PI * ((numCycles * done) % 1))))
  }),

  /** Falls to `minLr` and not to 0: `get_cosine_with_min_lr_schedule_with_warmup`. */
  cosine_with_min_lr: afterWarmup((step, context, kwargs) =>
    Math.max(0, between(wave(kwargs.numCycles, progress(step, context)), lowestFactor(kwargs, context))),
  ),

  /** The same one step ahead, with a warmup that does not begin at 0: `get_cosine_with_min_lr_schedule_with_warmup_lr_rate`. */
  cosine_warmup_with_min_lr(step, context, kwargs) {
    const { numCycles, warmupLrRate } = kwargs
    const { warmupSteps } = context
    if (step >= warmupSteps)
      return Math.max(0, between(wave(numCycles, progress(step + 1, context)), lowestFactor(kwargs, context)))
    if (warmupLrRate === undefined) return warmup(step + 1, warmupSteps)
    return warmupLrRate + ((1 - warmupLrRate) * step) / Math.max(1, warmupSteps - 1)
  },

  /** From the peak to `lrEnd` along a power: `get_polynomial_decay_schedule_with_warmup`. */
  polynomial: afterWarmup((step, context, { lrEnd, power }) => {
    const { totalSteps, learningRate } = context
    if (step > totalSteps) return lrEnd / learningRate
    return ((learningRate - lrEnd) * (1 - progress(step, context)) ** power + lrEnd) / learningRate
  }),

  /** The peak learning rate throughout: `get_constant_schedule`, which knows no warmup. */
  constant: () => 1,

  /** `get_constant_schedule_with_warmup` */
  constant_with_warmup: afterWarmup(() => 1),

  /** Falls with the root of the step, never to 0: `get_inverse_sqrt_schedule`. */
  inverse_sqrt: afterWarmup((step, { warmupSteps }, { timescale }) => {
    const scale = timescale ?? (warmupSteps || 10_000)
    return 1 / Math.sqrt((step + (scale - warmupSteps)) / scale)
  }),

  /**
   * A rise, a plateau, and a fall over the last `numDecaySteps` (Hu et al. 2024): `get_wsd_schedule`. Without
   * `numStableSteps` the plateau fills what is left of `totalSteps`.
   */
  warmup_stable_decay(step, { warmupSteps, totalSteps }, kwargs) {
    const { numDecaySteps, numStableSteps, warmupType, decayType, minLrRatio, numCycles } = kwargs
    const stableSteps = numStableSteps ?? totalSteps - warmupSteps - numDecaySteps
    const above = (factor: number) => Math.max(0, between(factor, minLrRatio))
    if (step < warmupSteps) {
      const done = warmup(step, warmupSteps)
      if (warmupType === 'linear') return above(done)
      return above(warmupType === 'cosine' ? 0.5 * (1 - Math.cos(Math.PI * done)) : 1 - Math.sqrt(1 - done))
    }
    if (step < warmupSteps + stableSteps) return 1
    if (step >= warmupSteps + stableSteps + numDecaySteps) return minLrRatio
    const done = (step - warmupSteps - stableSteps) / Math.max(1, numDecaySteps)
    if (decayType === 'linear') return above(1 - done)
    return above(decayType === 'cosine' ? wave(numCycles, done) : 1 - Math.sqrt(done))
  },
}
