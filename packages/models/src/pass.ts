import type * as tf from '@tensorflow/tfjs-core'
import { invalidData } from '@tunesmith/core'
import type { ModelInput } from './batch'
import type { KvCache } from './kv-cache'
import type { VirtualTokens } from './virtual-tokens'

/** The name of no adapter at all, in a batch where each sequence says which one it wants (PEFT's word). */
export const BASE_NAME = '__base__'

/**
 * What modules may ask about the forward pass they run in. Each pass has its own, and a checkpointed block keeps it: the
 * block computes the same when the backward pass runs it again, whatever the model does in between.
 */
export interface Pass {
  /** `[sequences + 1]`, where each sequence starts in the rows of real tokens, and the end. */
  readonly cuSeqlens: ArrayLike<number>
  /** `[sequences]`, the adapter of each sequence; undefined: the active ones for all. */
  readonly adapterNames: readonly string[] | undefined
  /** Holds keys and values. While it is the same, no parameter changes. */
  readonly cache: KvCache | undefined
  /** Dropout and noise are on. */
  readonly training: boolean
  /** Of dropout masks and noise. */
  readonly seed: number
}

export interface PassOptions {
  /** Where to read and append keys and values; for generation. */
  cache?: KvCache | undefined
  /** Switches dropout on. Default false. */
  training?: boolean | undefined
  /** Of dropout masks; give each micro-batch another one. Default 0. */
  seed?: number | undefined
}

export function createPass(
  { cuSeqlens, adapterNames }: Pick<ModelInput, 'cuSeqlens' | 'adapterNames'>,
  { cache, training = false, seed = 0 }: PassOptions = {},
): Pass {
  return { cuSeqlens, adapterNames, cache, training, seed }
}

/** What adapters tell a model while they are on it, beside the `override` of each module. */
export interface Attachment {
  /** Positions before every sequence. */
  readonly virtualTokens?: VirtualTokens | undefined
  /** Trainable variables by the name of the module that computes with them; checkpointing needs to know them. */
  readonly trainables: ReadonlyMap<string, readonly tf.Variable[]>
  /** Trainable variables that every decoder layer computes with, like the keys and values of prefix tuning. */
  readonly sharedTrainables: readonly tf.Variable[]
  /** @throws {TunesmithError} for a name nobody loaded, or a batch that cannot be mixed. */
  checkAdapterNames(names: readonly string[]): void
}

/** @throws {TunesmithError} `invalid_data` for names that do not fit the sequences or the model. */
export function checkAdapterNames({ adapterNames, cuSeqlens }: Pass, attachment: Attachment | undefined): void {
  if (!adapterNames) return
  const wrong = (what: string, remedy: string) => invalidData(what, { where: 'adapterNames', remedy })
  const sequences = cuSeqlens.length - 1
  if (adapterNames.length !== sequences)
    throw wrong(
      `There are ${adapterNames.length} adapter names for ${sequences} sequences`,
      'Give one name per sequence',
    )
  if (!attachment)
    throw wrong('The batch names adapters, but the model has none', 'Load the adapters first, or leave the names out')
  attachment.checkAdapterNames(adapterNames)
}
