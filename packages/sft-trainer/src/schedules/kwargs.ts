import { z } from 'zod'

const count = z.number().int().nonnegative()
const none = z.strictObject({})
const shape = z.enum(['linear', 'cosine', '1-sqrt'])

const minLr = {
  /** The lowest learning rate. Give this or `minLrRate`. */
  minLr: z.number().nonnegative().optional(),
  /** The lowest learning rate as a share of the peak. */
  minLrRate: z.number().min(0).max(1).optional(),
  /** Waves of the cosine; 0.5 falls once. Default 0.5. */
  numCycles: z.number().positive().default(0.5),
}
const oneLowest = ({ minLr, minLrRate }: { minLr?: number; minLrRate?: number }) =>
  (minLr === undefined) !== (minLrRate === undefined)
const oneLowestMessage = 'give exactly one of minLr and minLrRate'

/** What `lrSchedulerKwargs` may hold for each `lrSchedulerType`: transformers' arguments in camelCase. */
export const SCHEDULE_KWARGS = {
  linear: none,
  cosine: z.strictObject({
    /** Waves of the cosine; 0.5 falls once. Default 0.5. */
    numCycles: z.number().positive().default(0.5),
  }),
  cosine_with_restarts: z.strictObject({
    /** How often it falls from the peak. Default 1. */
    numCycles: z.number().positive().default(1),
  }),
  cosine_with_min_lr: z.strictObject(minLr).refine(oneLowest, oneLowestMessage),
  cosine_warmup_with_min_lr: z
    .strictObject({
      ...minLr,
      /** Where the warmup begins, as a share of the peak. Default 1 / `warmupSteps`. */
      warmupLrRate: z.number().min(0).max(1).optional(),
    })
    .refine(oneLowest, oneLowestMessage),
  polynomial: z.strictObject({
    /** Default 1e-7. */
    lrEnd: z.number().nonnegative().default(1e-7),
    /** Default 1: a straight line. */
    power: z.number().positive().default(1),
  }),
  constant: none,
  constant_with_warmup: none,
  inverse_sqrt: z.strictObject({
    /** Default: the warmup steps, or 10,000 without a warmup. */
    timescale: z.number().positive().optional(),
  }),
  warmup_stable_decay: z.strictObject({
    /** Length of the fall at the end. */
    numDecaySteps: count,
    /** Default: what warmup and decay leave. */
    numStableSteps: count.optional(),
    /** Default `linear`. */
    warmupType: shape.default('linear'),
    /** Default `cosine`. */
    decayType: shape.default('cosine'),
    /** Begin and end, as a share of the peak. Default 0. */
    minLrRatio: z.number().min(0).max(1).default(0),
    /** Of the cosine decay. Default 0.5. */
    numCycles: z.number().positive().default(0.5),
  }),
  reduce_lr_on_plateau: z.strictObject({
    /** Whether a smaller or a larger metric is better. Default: as `greaterIsBetter` says. */
    mode: z.enum(['min', 'max']).optional(),
    /** Multiplies the learning rate. Default 0.1. */
    factor: z.number().positive().lt(1).default(0.1),
    /** Evaluations without improvement that are let pass. Default 10. */
    patience: count.default(10),
    /** What counts as improvement. Default 1e-4. */
    threshold: z.number().nonnegative().default(1e-4),
    /** The threshold as a share of the best metric, or as it is. Default `rel`. */
    thresholdMode: z.enum(['rel', 'abs']).default('rel'),
    /** Evaluations after a reduction that do not count. Default 0. */
    cooldown: count.default(0),
    /** Of the parameters that learn at the peak rate; those with a multiple of it keep their ratio. Default 0. */
    minLr: z.number().nonnegative().default(0),
    /** A smaller change than this is not made. Default 1e-8. */
    eps: z.number().nonnegative().default(1e-8),
  }),
} as const

export type ScheduleName = keyof typeof SCHEDULE_KWARGS
export const SCHEDULES = Object.keys(SCHEDULE_KWARGS) as [ScheduleName, ...ScheduleName[]]

/** The kwargs of one schedule, checked and with defaults. */
export type ScheduleKwargs<Name extends ScheduleName = ScheduleName> = z.output<(typeof SCHEDULE_KWARGS)[Name]>
