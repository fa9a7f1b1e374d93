import { parseOptions } from '@tunesmith/core'
import { z } from 'zod'
import { SCHEDULES } from './schedules'

const count = z.number().int().positive()

export const sftConfigSchema = z.strictObject({
  /** Where the adapter, logs and charts go. */
  outputDir: z.string(),
  /** Peak learning rate. Default 2e-5; adapters want 1e-4 to 1e-3. */
  learningRate: z.number().nonnegative().default(2e-5),
  /** Sequences (or packed rows) per micro-batch. Default 8. */
  perDeviceTrainBatchSize: count.default(8),
  /** Default 8. */
  perDeviceEvalBatchSize: count.default(8),
  /** Micro-batches per optimizer step. Default 1. */
  gradientAccumulationSteps: count.default(1),
  /** May be a fraction. Default 3. */
  numTrainEpochs: z.number().positive().default(3),
  /** Optimizer steps; overrides `numTrainEpochs` when positive. Default -1. */
  maxSteps: z.number().int().default(-1),
  /** Decoupled decay of weights, not of norms and biases. Default 0. */
  weightDecay: z.number().nonnegative().default(0),
  adamBeta1: z.number().min(0).lt(1).default(0.9),
  adamBeta2: z.number().min(0).lt(1).default(0.999),
  adamEpsilon: z.number().positive().default(1e-8),
  /** Largest l2 norm of all gradients together; 0 never clips. Default 1. */
  maxGradNorm: z.number().nonnegative().default(1),
  /** Default `linear`. */
  lrSchedulerType: z.enum(SCHEDULES).default('linear'),
  /** Steps from 0 to the peak; overrides `warmupRatio` when positive. Default 0. */
  warmupSteps: z.number().int().nonnegative().default(0),
  /** Share of all steps, rounded up. Default 0. */
  warmupRatio: z.number().min(0).max(1).default(0),
  /** Log every so many optimizer steps. Default 10. */
  loggingSteps: count.default(10),
  /** When to evaluate: never, every `evalSteps`, or after each epoch. Default `no`. */
  evalStrategy: z.enum(['no', 'steps', 'epoch']).default('no'),
  /** Default: `loggingSteps`. */
  evalSteps: count.optional(),
  /** Order of the data, dropout and initial adapter weights. Default 42. */
  seed: z.number().int().default(42),
  /** Longest sequence in tokens. Longer prompts and texts are cut at the end; see `lengthPolicy`. Default 1024. */
  maxLength: count.default(1024),
  /** What happens to longer rows: cut at the end, or left out. Default `truncate`, as in TRL. */
  lengthPolicy: z.enum(['truncate', 'drop']).default('truncate'),
  /** Fill rows of `maxLength` tokens with whole sequences, best fit decreasing. Default false. */
  packing: z.boolean().default(false),
  /** Learn only from completions. Default: true for prompt/completion rows. */
  completionOnlyLoss: z.boolean().optional(),
  /** Learn only from the assistant's turns of `messages` rows. Default false. */
  assistantOnlyLoss: z.boolean().default(false),
  /** `nll`, or `dft` (dynamic fine-tuning). Default `nll`. */
  lossType: z.enum(['nll', 'dft']).default('nll'),
  /** Default 0. */
  labelSmoothingFactor: z.number().min(0).lt(1).default(0),
  /** Trade one more forward pass for the memory of all activations. Default false. */
  gradientCheckpointing: z.boolean().default(false),
  /** Draw the rows in another order each epoch. Default true. */
  shuffle: z.boolean().default(true),
})

/** TrainingArguments' and SFTConfig's names in camelCase; defaults theirs where not said otherwise. */
export type SFTConfigOptions = z.input<typeof sftConfigSchema>
export type SFTConfig = z.output<typeof sftConfigSchema>

export function sftConfig(options: SFTConfigOptions, where = 'SFTConfig'): SFTConfig {
  return parseOptions(sftConfigSchema, options, where)
}
