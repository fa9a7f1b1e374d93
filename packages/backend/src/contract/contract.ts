import type * as tf from '@tensorflow/tfjs-core'
import { TunesmithError } from '@tunesmith/core'
import { BITS_PER_ELEMENT, type WeightAttrs } from '../weights'
import type { AttentionKernelAttrs } from './attributes'

type Inputs = Record<string, tf.Tensor>

/** A size that is known, or a letter that must be the same size wherever it occurs. */
type Size = number | string
interface Expected {
  dtype: 'float32' | 'int32'
  shape: Size[]
  optional?: boolean
}
type Contract = Record<string, Expected>

const floats = (...shape: Size[]): Expected => ({ dtype: 'float32', shape })
const ints = (...shape: Size[]): Expected => ({ dtype: 'int32', shape })
const optional = (expected: Expected): Expected => ({ ...expected, optional: true })

/** The tensors of a weight in its format. */
function weight({ format, outFeatures, inFeatures, blockSize }: WeightAttrs): Contract {
  const bits = BITS_PER_ELEMENT[format]
  const elements = outFeatures * inFeatures
  if (format === 'f32') return { weight: floats(outFeatures, inFeatures) }
  const packed = { weight: ints(Math.ceil((elements * bits) / 32)) }
  if (format === 'int8') return { ...packed, scale: floats(outFeatures) }
  if (bits === 16) return packed
  return { ...packed, absmax: floats(Math.ceil(elements / blockSize)), code: floats(16) }
}

type Attrs = WeightAttrs & AttentionKernelAttrs & { rotaryDim: number; needsWeightGrad?: boolean }

const queries = (a: Attrs) => floats('tokens', a.numHeads * a.headDim)
const keys = (a: Attrs, rows: Size) => floats(rows, a.numKvHeads * a.headDim)

/** What each kernel takes: the same that the native backend checks. */
const CONTRACTS: Record<string, (attrs: Attrs) => Contract> = {
  RMSNorm: () => ({ x: floats('tokens', 'hidden'), weight: floats('hidden') }),
  RMSNormGrad: () => ({
    dy: floats('tokens', 'hidden'),
    x: floats('tokens', 'hidden'),
    weight: floats('hidden'),
    addend: optional(floats('tokens', 'hidden')),
  }),
  RMSNormWeightGrad: () => ({ dy: floats('tokens', 'hidden'), x: floats('tokens', 'hidden') }),
  RotaryEmbedding: ({ rotaryDim }) => ({
    x: floats('tokens', 'width'),
    cos: floats('tokens', rotaryDim / 2),
    sin: floats('tokens', rotaryDim / 2),
  }),
  CausalAttention: (a) => ({
    q: queries(a),
    k: keys(a, 'keys'),
    v: keys(a, 'keys'),
    cuSeqlens: ints('bounds'),
    kvStart: optional(ints('sequences')),
    kvLength: optional(ints('sequences')),
  }),
  CausalAttentionGrad: (a) => ({
    dout: queries(a),
    q: queries(a),
    k: keys(a, 'tokens'),
    v: keys(a, 'tokens'),
    out: queries(a),
    lse: floats('tokens', a.numHeads),
    cuSeqlens: ints('bounds'),
  }),
  SwiGLU: () => ({ gate: floats('tokens', 'width'), up: floats('tokens', 'width') }),
  SwiGLUGrad: () => ({
    dy: floats('tokens', 'width'),
    gate: floats('tokens', 'width'),
    up: floats('tokens', 'width'),
  }),
  Dropout: () => ({ x: floats('tokens', 'width') }),
  FrozenLinear: (a) => ({
    x: floats('tokens', a.inFeatures),
    ...weight(a),
    bias: optional(floats(a.outFeatures)),
  }),
  FrozenLinearGrad: (a) => ({
    dy: floats('tokens', a.outFeatures),
    ...weight(a),
    addend: optional(floats('tokens', a.inFeatures)),
  }),
  LinearWeightGrad: () => ({ dy: floats('tokens', 'out'), x: floats('tokens', 'in') }),
  LoraLinear: (a) => ({
    x: floats('tokens', a.inFeatures),
    ...weight(a),
    loraA: floats('rank', a.inFeatures),
    loraB: floats(a.outFeatures, 'rank'),
    bias: optional(floats(a.outFeatures)),
  }),
  LoraLinearGrad: (a) => ({
    dy: floats('tokens', a.outFeatures),
    ...weight(a),
    loraA: floats('rank', a.inFeatures),
    loraB: floats(a.outFeatures, 'rank'),
    ...(a.needsWeightGrad && { x: floats('tokens', a.inFeatures), xa: floats('tokens', 'rank') }),
    addend: optional(floats('tokens', a.inFeatures)),
  }),
  LinearCrossEntropy: (a) => ({
    hidden: floats('tokens', a.inFeatures),
    ...weight(a),
    labels: ints('tokens'),
    bias: optional(floats(a.outFeatures)),
  }),
  EmbeddingLookup: (a) => ({ ids: ints('tokens'), ...weight(a) }),
  EmbeddingGrad: () => ({ dy: floats('tokens', 'hidden'), ids: ints('tokens') }),
  Dequantize: weight,
}

/**
 * Refuses a call of a portable kernel that breaks its contract, before TensorFlow.js broadcasts what should not be, or
 * fails with a message about some inner operation.
 *
 * @throws {TunesmithError} `invalid_data` with kernel and input.
 */
export function checkContract(kernelName: string, inputs: Inputs, attrs: object): void {
  const name = kernelName.replace(/^Tunesmith/, '')
  const fail: (problem: string) => never = (problem) => {
    throw new TunesmithError(`${name}: ${problem}`, { code: 'invalid_data', where: name })
  }
  const given = attrs as Attrs
  if ('format' in given && !(given.format in BITS_PER_ELEMENT))
    fail(`unknown weight format "${given.format}"; known: ${Object.keys(BITS_PER_ELEMENT).join(', ')}`)
  const sizes = new Map<string, number>()
  for (const [input, { dtype, shape, optional }] of Object.entries(CONTRACTS[name]?.(given) ?? {})) {
    const x = inputs[input]
    if (!x && optional) continue
    if (!x) fail(`input "${input}" is missing`)
    if (x.dtype !== dtype) fail(`"${input}" must be ${dtype}, not ${x.dtype}`)
    const fits = (size: Size, i: number) => {
      if (typeof size === 'string' && !sizes.has(size)) sizes.set(size, x.shape[i]!)
      return x.shape[i] === (typeof size === 'string' ? sizes.get(size) : size)
    }
    if (x.shape.length !== shape.length || !shape.every(fits))
      fail(`"${input}" must have shape [${shape.map((s) => sizes.get(s as string) ?? s)}], not [${x.shape}]`)
  }
  const { ids, labels, cuSeqlens } = inputs
  const rows = given.outFeatures
  if (ids?.dataSync().some((id) => id < 0 || id >= rows)) fail('expected ids inside the table')
  if (labels?.dataSync().some((label) => label >= rows)) fail('expected labels inside the vocabulary')
  if (cuSeqlens) checkSequences(inputs, given, fail)
}

function checkSequences({ cuSeqlens, q, k, kvStart, kvLength }: Inputs, attrs: Attrs, fail: (why: string) => never) {
  const { numHeads, numKvHeads } = attrs
  if (!(numKvHeads >= 1 && numHeads % numKvHeads === 0)) fail('expected heads that share kv heads evenly')
  const bounds = cuSeqlens!.dataSync<'int32'>()
  const [starts, lengths] = [kvStart, kvLength].map((x?: tf.Tensor) => x?.dataSync<'int32'>())
  if (bounds.length < 1) fail('cuSeqlens must have at least one element')
  if (Boolean(starts) !== Boolean(lengths)) fail('kvStart and kvLength go together')
  if (starts && starts.length !== bounds.length - 1) fail('kvStart must have one element per sequence')
  let inside =
    bounds[0] === 0 && bounds.at(-1) === q!.shape[0]! && (starts !== undefined || k!.shape[0] === q!.shape[0])
  for (let s = 0; s + 1 < bounds.length; s++) {
    const length = bounds[s + 1]! - bounds[s]!
    inside &&= length >= 0
    if (starts) inside &&= starts[s]! >= 0 && lengths![s]! >= length && starts[s]! + lengths![s]! <= k!.shape[0]!
  }
  if (!inside) fail('expected sequences inside the tokens')
}
