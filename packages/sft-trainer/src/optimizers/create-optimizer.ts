import { z } from 'zod'
import { parseKeywords } from '../keyword-options'
import { adafactor, adafactorArgs } from './adafactor'
import { type AdamWOptions, adamW } from './adamw'
import { adamW8bit } from './adamw-8bit'
import { lion } from './lion'
import type { Optimizer, ParameterGroup } from './optimizer'
import { sgd, sgdArgs } from './sgd'

export interface OptimizerOptions extends Omit<AdamWOptions, 'pageable'> {
  /** TrainingArguments' `optim_args`, in camelCase or as they are. */
  args: Record<string, unknown>
}

type Create = (groups: readonly ParameterGroup[], options: AdamWOptions, args: Record<string, unknown>) => Optimizer

const none = z.strictObject({})
const withoutArgs =
  (create: (groups: readonly ParameterGroup[], options: AdamWOptions) => Optimizer): Create =>
  (groups, options, args) => {
    parseKeywords(none, args, 'optimArgs')
    return create(groups, options)
  }
const float32 = withoutArgs(adamW)
const eightBit = withoutArgs(adamW8bit)
const signs = withoutArgs(lion)

/** By our name and by transformers'. `paged_` optimizers compute the same; their states may leave the device's memory for the host's. */
const CREATE = {
  adamw: float32,
  adamw_torch: float32,
  adamw_torch_fused: float32,
  paged_adamw_32bit: float32,
  adamw_8bit: eightBit,
  adamw_bnb_8bit: eightBit,
  paged_adamw_8bit: eightBit,
  sgd: (groups, _, args) => sgd(groups, parseKeywords(sgdArgs, args, 'optimArgs of sgd')),
  adafactor: (groups, _, args) => adafactor(groups, parseKeywords(adafactorArgs, args, 'optimArgs of adafactor')),
  lion: signs,
  lion_32bit: signs,
  paged_lion_32bit: signs,
} satisfies Record<string, Create>

export type OptimizerName = keyof typeof CREATE
export const OPTIMIZERS = Object.keys(CREATE) as [OptimizerName, ...OptimizerName[]]

/**
 * An optimizer by name.
 *
 * @throws {TunesmithError} `invalid_options` when `args` do not fit it.
 */
export function createOptimizer(
  name: OptimizerName,
  groups: readonly ParameterGroup[],
  { args, ...options }: OptimizerOptions,
): Optimizer {
  return CREATE[name](groups, { ...options, pageable: name.startsWith('paged_') }, args)
}
