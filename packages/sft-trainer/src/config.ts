import { parseOptions } from '@tunesmith/core'
import { z } from 'zod'
import { GENERATION_METRICS } from './generation-metrics/scores'
import { OPTIMIZERS } from './optimizers'
import { REPORTERS } from './reporters/names'
import { SCHEDULES } from './schedules'

const count = z.number().int().positive()
/** TrainingArguments' dictionaries. */
const keywords = z.record(z.string(), z.unknown())

/** What the loop, its checkpoints and its reporters take, whatever is learned. */
export const trainingConfigSchema = z.strictObject({
  /** Where checkpoints, logs and charts go. */
  outputDir: z.string(),
  /** The run's name in reporters. Default: the last part of `outputDir`. */
  runName: z.string().optional(),

  // How long, and in which steps.

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

  // The update.

  /** Peak learning rate. Default 2e-5; adapters want 1e-4 to 1e-3. */
  learningRate: z.number().nonnegative().default(2e-5),
  /** Default `linear`. */
  lrSchedulerType: z.enum(SCHEDULES).default('linear'),
  /** What the schedule takes besides, under transformers' names in camelCase: `numCycles`, `minLr`, `power`... */
  lrSchedulerKwargs: keywords.default({}),
  /** Steps from 0 to the peak; below 1 a share of all steps, rounded up. Goes before `warmupRatio`. Default 0. */
  warmupSteps: z.number().nonnegative().default(0),
  /** Share of all steps, rounded up. Default 0. */
  warmupRatio: z.number().min(0).max(1).default(0),
  /** Default `adamw`. */
  optim: z.enum(OPTIMIZERS).default('adamw'),
  /** What the optimizer takes besides. */
  optimArgs: keywords.default({}),
  /** Decoupled decay of weights, not of norms and biases. Default 0. */
  weightDecay: z.number().nonnegative().default(0),
  adamBeta1: z.number().min(0).lt(1).default(0.9),
  adamBeta2: z.number().min(0).lt(1).default(0.999),
  adamEpsilon: z.number().positive().default(1e-8),
  /** LoRA+ (Hayou et al. 2024): the B matrices learn this many times as fast. Default: like the others. */
  loraPlusLrRatio: z.number().positive().optional(),
  /** With LoRA+: the learning rate of LoRA on embeddings. Default 1e-6. */
  loraPlusLrEmbedding: z.number().positive().default(1e-6),
  /** Largest l2 norm of all gradients together; 0 never clips. Default 1. */
  maxGradNorm: z.number().nonnegative().default(1),
  /** Without an adapter: the modules to train, by name or suffix (`q_proj`, `model.norm`). Default: every weight. */
  trainableModules: z.array(z.string()).min(1).optional(),

  // The data.

  /** Longest sequence in tokens. Default 1024. */
  maxLength: count.default(1024),
  /** Which part of a cut row stays. Default `keep_start`. */
  truncationMode: z.enum(['keep_start', 'keep_end']).default('keep_start'),
  /** The order of the rows, drawn anew each epoch. Default `random`. */
  trainSamplingStrategy: z.enum(['random', 'sequential', 'group_by_length']).default('random'),
  /** Leave out the last micro-batch of an epoch when it is not full. Default false. */
  dataloaderDropLast: z.boolean().default(false),
  /** Dropout, NEFTune's noise and initial adapter weights. Default 42. */
  seed: z.number().int().default(42),
  /** Order of the data. Default: `seed`. */
  dataSeed: z.number().int().optional(),

  // Memory and precision.

  /** Trade one more forward pass for the memory of all activations. Default false (TRL: true). */
  gradientCheckpointing: z.boolean().default(false),
  /**
   * With `gradientCheckpointing`, on a backend with memory of its own (`cuda`): what checkpointing keeps, the inputs of the blocks,
   * waits in pinned host memory and is moved while blocks compute. The same updates. Default false.
   */
  activationOffloading: z.boolean().default(false),
  /** Let the backend keep activations in bfloat16 where it can; others say that they compute in float32. Default false. */
  bf16: z.boolean().default(false),
  /** Dynamic loss scaling, as torch's GradScaler does it, for backends with float16 activations. Default false. */
  fp16: z.boolean().default(false),

  // What is said and kept.

  /** Log every so many optimizer steps. Default 10. */
  loggingSteps: count.default(10),
  /** Log the first step too. Default false. */
  loggingFirstStep: z.boolean().default(false),
  /** Default console, jsonl and chart. */
  reportTo: z.array(z.enum(REPORTERS)).default(['console', 'jsonl', 'chart']),
  /** When to evaluate: never, every `evalSteps`, or after each epoch. Default `no`. */
  evalStrategy: z.enum(['no', 'steps', 'epoch']).default('no'),
  /** Default: `loggingSteps`. */
  evalSteps: count.optional(),
  /** Evaluate before the first step. Default false. */
  evalOnStart: z.boolean().default(false),
  /** When to save a checkpoint; `best` after each evaluation that beats the ones before. Default `steps`. */
  saveStrategy: z.enum(['no', 'steps', 'epoch', 'best']).default('steps'),
  /** Default 500. The last step is saved too. */
  saveSteps: count.default(500),
  /** Keep so many checkpoints; the newest and the best always stay. Default: all. */
  saveTotalLimit: count.optional(),
  /** Go back to the best checkpoint's weights at the end. Needs evaluation, and saving at the same moments. Default false. */
  loadBestModelAtEnd: z.boolean().default(false),
  /** An evaluation metric: `evalLoss`, `evalRougeL`... with or without `eval`. Default `evalLoss`. */
  metricForBestModel: z.string().default('evalLoss'),
  /** Default: false for losses and perplexities, true for everything else. */
  greaterIsBetter: z.boolean().optional(),
  /** Go on from the newest whole checkpoint in `outputDir` (true; from the start when there is none), or from a folder. Default false. */
  resumeFromCheckpoint: z.union([z.boolean(), z.string()]).default(false),
  /** On SIGTERM and SIGINT: finish the micro-batch, save a checkpoint, return. Default true. */
  saveOnSignal: z.boolean().default(true),
  /** Steps in a row whose loss or gradient may be NaN or infinite, each left out, before training ends. Default 5. */
  maxNonFiniteSteps: count.default(5),

  // Generation metrics.

  /** Let the model answer evaluation prompts and score the answers. Default false. */
  predictWithGenerate: z.boolean().default(false),
  /** Longest answer in tokens. Default 128. */
  generationMaxNewTokens: count.default(128),
  /** Evaluation rows that are answered, drawn once with `seed`. Default 32. */
  generationSampleSize: count.default(32),
  /** Prompts answered together at most. Default 8. */
  generationBatchSize: count.default(8),
  /** Their tokens, answers included: what the key/value cache of a batch may hold. Default 16,384. */
  generationTokenBudget: count.default(16_384),
  /** What answers are scored with. Default rouge, bleu and exact_match. */
  generationMetrics: z.array(z.enum(GENERATION_METRICS)).default([...GENERATION_METRICS]),
})

export type TrainingConfig = z.output<typeof trainingConfigSchema> & {
  /** Where rows can be packed. */
  packing?: boolean
}

export const sftConfigSchema = trainingConfigSchema.extend({
  // The loss.

  /** `nll`, or `dft` (dynamic fine-tuning). Default `nll`. */
  lossType: z.enum(['nll', 'dft']).default('nll'),
  /** Default 0. */
  labelSmoothingFactor: z.number().min(0).lt(1).default(0),
  /** NEFTune (Jain et al. 2023): noise on the embeddings of training sequences, 5 to 15 in the paper. Default none. */
  neftuneNoiseAlpha: z.number().positive().optional(),
  /** Learn only from completions. Default: true for prompt/completion rows. */
  completionOnlyLoss: z.boolean().optional(),
  /** Learn only from the assistant's turns of `messages` rows. Default false. */
  assistantOnlyLoss: z.boolean().default(false),

  // The data.

  /** What happens to longer rows: cut, left out, or made into several. Default `truncate`, as in TRL. */
  lengthPolicy: z.enum(['truncate', 'drop', 'split']).default('truncate'),
  /** Fill rows of `maxLength` tokens with several sequences. Default false. */
  packing: z.boolean().default(false),
  /** `bfd` cuts what is longer than a row, `bfd_split` splits it, `wrapped` cuts anywhere. Default `bfd`. */
  packingStrategy: z.enum(['bfd', 'bfd_split', 'wrapped']).default('bfd'),
  /** Pack the evaluation data too. Default: as `packing`. */
  evalPacking: z.boolean().optional(),
})

/** TrainingArguments' and SFTConfig's names in camelCase; defaults theirs where not said otherwise. */
export type SFTConfigOptions = z.input<typeof sftConfigSchema>
export type SFTConfig = z.output<typeof sftConfigSchema>

export function sftConfig(options: SFTConfigOptions, where = 'SFTConfig'): SFTConfig {
  return parseOptions(sftConfigSchema, options, where)
}
