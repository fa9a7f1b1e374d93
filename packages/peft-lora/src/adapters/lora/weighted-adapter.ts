import * as tf from '@tensorflow/tfjs-core'
import { invalidOptions, parseOptions, Random, unsupported } from '@tunesmith/core'
import { EmbeddingModule } from '@tunesmith/models'
import { truncatedSvd } from '@tunesmith/quantization'
import { z } from 'zod'
import type { AdaptableModule, AdapterLayer } from '../../adapter'
import type { Attached } from '../../attached'
import type { PeftModel } from '../../peft-model'
import { effectiveTargets } from '../../target-modules'
import { type CombineOptions, combineTensors } from './combine-tensors'
import { type LoraConfig, rankAndScaling } from './config'
import { changesBase } from './initial-factors'

const METHODS = ['linear', 'ties', 'dare_linear', 'dare_ties', 'magnitude_prune'] as const
const weightedSchema = z.strictObject({
  /** LoRA adapters of the model. */
  adapters: z.array(z.string()).min(1),
  /** What each counts; negative ones take it away. */
  weights: z.array(z.number()),
  /** Name of the new one. */
  adapterName: z.string(),
  /**
   * `cat`: A and B side by side, exact, the rank is the sum; `linear` (one rank for all): A and B are averaged; `svd`:
   * the weighted update is decomposed again; `ties`, `dare_linear`, `dare_ties`, `magnitude_prune`: with pruning, and each
   * also with `_svd` on the updates themselves. Default `svd`, as in PEFT.
   */
  combinationType: z
    .enum(['cat', 'svd', ...METHODS, 'ties_svd', 'dare_linear_svd', 'dare_ties_svd', 'magnitude_prune_svd'])
    .default('svd'),
  /** Rank of what an SVD gives. Default: the largest of the adapters'. */
  svdRank: z.number().int().positive().optional(),
  /** Values of U and V beyond this quantile are clamped. Default: none are. */
  svdClamp: z.number().min(0).max(1).optional(),
  /** Fraction of the elements that pruning keeps. */
  density: z.number().min(0).optional(),
  /** TIES: `total` sums values, `frequency` counts signs. Default `total`. */
  majoritySignMethod: z.enum(['total', 'frequency']).default('total'),
  /** Of DARE's random choice. Default 0. */
  seed: z.number().int().default(0),
  /** DARE's choice instead of the seeded one: 1 where an element is kept, 0 where not. */
  keep: z
    .custom<
      (choice: { adapter: string; module: string; part: 'A' | 'B' | 'update'; size: number }) => ArrayLike<number>
    >()
    .optional(),
})
export type WeightedAdapterOptions = z.input<typeof weightedSchema>

interface Source {
  name: string
  weight: number
  config: LoraConfig
  layers: Attached['layers']
}

/** One adapter's factors on one module. */
interface Factors {
  source: Source
  a: Float32Array
  b: Float32Array
  r: number
  scaling: number
}

/**
 * Makes a new LoRA adapter out of several, PEFT's `add_weighted_adapter`. It waits for `setAdapter`.
 *
 * @throws {TunesmithError} `invalid_options` for ranks that do not fit the method, `unsupported` for adapters that are
 *   more than low-rank updates (DoRA, trained modules or biases, PiSSA).
 */
export function addWeightedAdapter(peft: PeftModel, options: WeightedAdapterOptions): PeftModel {
  const parsed = parseOptions(weightedSchema, options, 'addWeightedAdapter')
  const wrong = (what: string) => invalidOptions(what, { where: 'addWeightedAdapter' })
  if (parsed.weights.length !== parsed.adapters.length)
    throw wrong(`There are ${parsed.weights.length} weights for ${parsed.adapters.length} adapters`)
  const sources = parsed.adapters.map((name, i) => sourceOf(peft, name, parsed.weights[i]!))
  const type = sources.length === 1 ? 'linear' : parsed.combinationType
  if (/ties|dare|magnitude/.test(type) && parsed.density === undefined) throw wrong(`${type} needs a density`)
  const ranks = sources.map(({ config }) => Math.max(config.r, ...Object.values(config.rankPattern)))
  const byElements = METHODS.some((method) => method === type)
  if (byElements && new Set(ranks).size > 1) throw wrong(`${type} needs adapters of one rank, not ${ranks.join(', ')}`)
  const rank = byElements
    ? ranks[0]!
    : type === 'cat'
      ? ranks.reduce((sum, r) => sum + r, 0)
      : (parsed.svdRank ?? Math.max(...ranks))

  const config: LoraConfig = {
    ...sources[0]!.config,
    r: rank,
    loraAlpha: rank,
    // The factors hold the scaling already, so it must come out as 1.
    useRslora: false,
    rankPattern: {},
    alphaPattern: {},
    initLoraWeights: true,
    targetModules: unitedTargets(peft, sources, wrong),
  }
  peft.addConfigured(parsed.adapterName, config, { seed: 0, loading: true })
  try {
    for (const [module, { layer }] of peft.adapter(parsed.adapterName).layers) {
      const factors = sources.flatMap((source) => factorsOf(source, module) ?? [])
      const { a, b } = combineFactors(module, factors, { ...parsed, type, rank })
      const [variableA, variableB] = factorsIn(layer)
      for (const [variable, values] of [
        [variableA, a],
        [variableB, b],
      ] as const)
        tf.tidy(() => variable.assign(tf.tensor(values, variable.shape)))
    }
  } catch (error) {
    peft.deleteAdapter(parsed.adapterName)
    throw error
  }
  return peft
}

function sourceOf(peft: PeftModel, name: string, weight: number): Source {
  const { adapter, config, layers, copies } = peft.adapter(name)
  const loraConfig = config as unknown as LoraConfig
  const isPlain =
    adapter.peftType === 'LORA' &&
    copies.length === 0 &&
    !loraConfig.useDora &&
    ![...layers.values()].some(({ layer }) => layer.derived) &&
    !loraConfig.trainableTokenIndices &&
    !changesBase(loraConfig)
  if (isPlain) return { name, weight, config: loraConfig, layers }
  throw unsupported('The adapter is more than a low-rank update and cannot be combined with others', {
    where: name,
    remedy: 'Combine plain LoRA adapters; savePeftModel with asPlainLora makes one of PiSSA and OLoRA',
  })
}

function unitedTargets(peft: PeftModel, sources: readonly Source[], wrong: (what: string) => Error): string | string[] {
  const targets = sources.map(({ config }) => effectiveTargets(peft.model, config))
  const lists = targets.filter((target) => Array.isArray(target))
  if (lists.length === targets.length) return [...new Set(lists.flat())]
  if (lists.length > 0) throw wrong('Some adapters have a list of targetModules and others a regular expression')
  return targets.map((target) => `(${target as string})`).join('|')
}

/** A and B, whichever of them is trained. */
function factorsIn({ parameters, frozen }: AdapterLayer): [tf.Variable, tf.Variable] {
  return Object.values({ ...parameters, ...frozen }) as [tf.Variable, tf.Variable]
}

function factorsOf(source: Source, module: AdaptableModule): Factors | undefined {
  const stacked = source.layers.get(module)
  if (!stacked) return undefined
  const [a, b] = factorsIn(stacked.layer).map((variable) => variable.dataSync() as Float32Array)
  return { source, a: a!, b: b!, ...rankAndScaling(module.name, source.config) }
}

type Combination = z.output<typeof weightedSchema> & { type: string; rank: number }

function combineFactors(module: AdaptableModule, factors: readonly Factors[], how: Combination) {
  const { inFeatures, outFeatures } = module.weight
  // Of the embeddings, A is [r, vocab] and B [hidden, r].
  const [columns, rows] = module instanceof EmbeddingModule ? [outFeatures, inFeatures] : [inFeatures, outFeatures]
  const { type, rank } = how
  if (type === 'cat') {
    const weighted = factors.map((one) => ({ ...one, weight: one.source.weight * one.scaling }))
    return sideBySide(weighted, rank, rows, columns)
  }
  const elementwise = (part: 'A' | 'B' | 'update'): CombineOptions => ({
    method: (type === 'svd' ? 'linear' : type.replace('_svd', '')) as CombineOptions['method'],
    density: how.density ?? 1,
    majoritySign: how.majoritySignMethod,
    keep: (i) => chosen(factors[i]!, module, part, how, part === 'update' ? rows * columns : undefined),
  })
  if (!type.endsWith('svd')) {
    const scaled = factors.map(({ source, scaling }) => source.weight * scaling)
    const roots = scaled.map((value) => Math.sqrt(Math.abs(value)))
    // The sign goes to one side, or two would cancel.
    const signed = roots.map((root, i) => (scaled[i]! < 0 ? -root : root))
    if (new Set(factors.map(({ r }) => r)).size > 1)
      throw invalidOptions(`${type} needs adapters of one rank`, { where: module.name })
    const a = combineTensors(
      factors.map((one) => one.a),
      signed.map(Math.fround),
      elementwise('A'),
    )
    const b = combineTensors(
      factors.map((one) => one.b),
      roots.map(Math.fround),
      elementwise('B'),
    )
    // A pattern may have given this module a smaller rank than others have.
    return sideBySide([{ a, b, r: factors[0]!.r, weight: 1 }], rank, rows, columns)
  }
  const updates = factors.map(({ a, b, r, scaling }) =>
    tf.tidy(() => {
      const product = tf.matMul(tf.tensor2d(b, [rows, r]), tf.tensor2d(a, [r, columns]))
      return (tf.mul(product, scaling).dataSync() as Float32Array).slice()
    }),
  )
  const matrix = combineTensors(
    updates,
    factors.map(({ source }) => source.weight),
    elementwise('update'),
  )
  const { u, s, vt } = truncatedSvd({ matrix, rows, columns, rank: Math.min(rank, rows, columns), powerIterations: 8 })
  // The singular values go to B. A matrix may have fewer of them than the rank asks for.
  const scaled = u.map((value, i) => value * s[i % s.length]!)
  const limit = how.svdClamp === undefined ? Number.POSITIVE_INFINITY : quantile([scaled, vt], how.svdClamp)
  const clamp = (value: number) => Math.max(-limit, Math.min(limit, value))
  return sideBySide([{ a: vt.map(clamp), b: scaled.map(clamp), r: s.length, weight: 1 }], rank, rows, columns)
}

/** DARE's choice of elements. */
function chosen(
  { source, a, b }: Factors,
  module: AdaptableModule,
  part: 'A' | 'B' | 'update',
  { keep, seed, density = 1 }: Combination,
  updateSize: number | undefined,
): ArrayLike<number> {
  const size = updateSize ?? (part === 'A' ? a : b).length
  if (keep) return keep({ adapter: source.name, module: module.name, part, size })
  const random = new Random(seed, `${source.name} ${module.name} ${part}`)
  return Uint8Array.from({ length: size }, () => (random.uniform() < density ? 1 : 0))
}

/** A below each other, each times its weight, and B side by side: one factor of a rank, with zeros where they have less. */
function sideBySide(
  parts: readonly { a: Float32Array; b: Float32Array; r: number; weight: number }[],
  rank: number,
  rows: number,
  columns: number,
) {
  const a = new Float32Array(rank * columns)
  const b = new Float32Array(rows * rank)
  let at = 0
  for (const part of parts) {
    for (let i = 0; i < part.a.length; i++) a[at * columns + i] = part.a[i]! * part.weight
    for (let row = 0; row < rows; row++) b.set(part.b.subarray(row * part.r, (row + 1) * part.r), row * rank + at)
    at += part.r
  }
  return { a, b }
}

/** With linear interpolation, over all values together. */
function quantile(parts: readonly Float32Array[], q: number): number {
  const all = Float32Array.from(parts.flatMap((part) => [...part])).sort()
  const at = q * (all.length - 1)
  const below = Math.floor(at)
  return all[below]! + (at - below) * ((all[below + 1] ?? all[below]!) - all[below]!)
}
