import { z } from 'zod'
import { modulesToSaveOption } from '../../trained-copies'

export const prefixTuningConfigSchema = z.strictObject({
  peftType: z.literal('PREFIX_TUNING'),
  /** How many trained keys and values every layer sees before every sequence. */
  numVirtualTokens: z.number().int().positive(),
  /** Whether they are made from smaller embeddings by two linear layers with a tanh between, while training. Default false. */
  prefixProjection: z.boolean().default(false),
  /** Width between those two layers. Default: the width of a layer's keys. */
  encoderHiddenSize: z.number().int().positive().optional(),
  /** `zero`: keys and values begin as zeros. Default: random. */
  initWeights: z.literal('zero').optional(),
  modulesToSave: modulesToSaveOption.modulesToSave,
})
/** What a caller may write. */
export type PrefixTuningConfigOptions = z.input<typeof prefixTuningConfigSchema>
/** With defaults filled in. */
export type PrefixTuningConfig = z.output<typeof prefixTuningConfigSchema>
