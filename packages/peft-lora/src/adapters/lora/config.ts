import { invalidOptions, parseOptions } from '@tunesmith/core'
import { z } from 'zod'
import { patternValue, targetOptions } from '../../target-modules'
import { modulesToSaveOption } from '../../trained-copies'

export const loraConfigSchema = z.strictObject({
  peftType: z.literal('LORA').default('LORA'),
  /** Rank of the update. Default 8. */
  r: z.number().int().positive().default(8),
  /** The update is scaled by `loraAlpha / r`. Default 8. */
  loraAlpha: z.number().positive().default(8),
  /** Probability of dropping an element of the update's input during training. Default 0. */
  loraDropout: z.number().min(0).lt(1).default(0),
  ...targetOptions,
  ...modulesToSaveOption,
  /** Ranks of particular modules, by suffix or regular expression. */
  rankPattern: z.record(z.string(), z.number().int().positive()).default({}),
  /** `loraAlpha` of particular modules, likewise. */
  alphaPattern: z.record(z.string(), z.number().positive()).default({}),
  /** Biases that are trained: none, all of the model, or those of the adapted modules. Default `none`. */
  bias: z.enum(['none', 'all', 'lora_only']).default('none'),
  /** Scale by `loraAlpha / sqrt(r)` (Kalajdzievski 2023). Default false. */
  useRslora: z.boolean().default(false),
  /** Train the length of each row of the weight beside its direction (Liu et al. 2024). Default false. */
  useDora: z.boolean().default(false),
  /**
   * How A and B begin. true: A Kaiming uniform and B zero, as in PEFT; false: neither is zero, for tests; `gaussian`: A
   * normal with standard deviation 1/r; `pissa`, `pissa_niter_16`: the largest singular vectors of the weight (Meng et
   * al. 2024), `olora`: its QR decomposition (Buyukakyuz 2024), both of which leave the rest in the base weight; `loftq`: what
   * quantization loses of it (Li et al. 2023), on a weight that is then 4-bit; `mica`: only for an adapter out of a file, of which A alone is
   * trained further. Default true.
   */
  initLoraWeights: z
    .union([
      z.boolean(),
      z.enum(['gaussian', 'pissa', 'olora', 'loftq', 'mica']),
      z.string().regex(/^pissa_niter_\d+$/),
    ])
    .default(true),
  /** For `loftq`: bits (4) and rounds. */
  loftqConfig: z
    .strictObject({
      loftqBits: z.literal(4).default(4),
      loftqIter: z.number().int().positive().default(1),
    })
    .optional(),
  /** Token ids whose embeddings are trained, or lists of them by module name. */
  trainableTokenIndices: z
    .union([z.array(z.number().int().nonnegative()), z.record(z.string(), z.array(z.number().int().nonnegative()))])
    .optional(),
})

/** What a caller may write. */
export type LoraConfigOptions = z.input<typeof loraConfigSchema>
/** With defaults filled in. */
export type LoraConfig = z.output<typeof loraConfigSchema>

export function loraConfig(options: LoraConfigOptions = {}): LoraConfig {
  return parseOptions(loraConfigSchema, options, 'LoraConfig')
}

/** Rank and scaling of one module. */
export function rankAndScaling(name: string, config: LoraConfig): { r: number; scaling: number } {
  const r = patternValue(name, config.rankPattern, config.r)
  const alpha = patternValue(name, config.alphaPattern, config.loraAlpha)
  return { r, scaling: config.useRslora ? alpha / Math.sqrt(r) : alpha / r }
}

/** @throws {TunesmithError} for options that exclude each other. */
export function checkLoraConfig({ useDora, initLoraWeights, loftqConfig, ...rest }: LoraConfig, ties: boolean): void {
  const wrong = (what: string) => invalidOptions(what, { where: 'LoraConfig' })
  if (loftqConfig && initLoraWeights !== 'loftq') throw wrong('loftqConfig needs initLoraWeights: "loftq"')
  if (useDora && ties && rest.ensureWeightTying)
    throw wrong('useDora trains lengths of rows of the head and of columns of the embeddings, which cannot be tied')
  if (useDora && typeof initLoraWeights === 'string' && initLoraWeights !== 'gaussian')
    throw wrong(`useDora starts from the base weight as it is, not from "${initLoraWeights}"`)
}
