/**
 * The table of all kernels: their attributes, inputs and outputs, written once.
 *
 * A kernel `Name` is registered with TensorFlow.js as `TunesmithName`. From its entry derive the types of its attributes
 * and tensors, the check of every call (`KernelPlan` in `plan.ts`) on every backend, and what a native backend hands
 * to its addon: the names of all fields once, when it is registered (sizes, attributes, inputs, outputs), and their values
 * with each call. A new backend registers each kernel with a function that turns tensors into what it computes with and
 * one that makes outputs; a new kernel is an entry here, a portable implementation in `portable/` (in `operations/` when it
 * writes in place), and what the native backends compute.
 *
 * Activations are `[tokens, width]`, and sizes that have a name must be alike wherever it occurs.
 */
import type { Tensor, TensorInfo } from '@tensorflow/tfjs-core'
import {
  type AttrsOf,
  activation,
  boolean,
  float32,
  floats,
  type InputsOf,
  indices,
  ints,
  type Kernel,
  name,
  number,
  optional,
  ordinal,
  over,
  parameter,
  probability,
  size,
} from './spec'
import { BITS_PER_ELEMENT, ROUNDINGS, WEIGHT_FORMATS, type WeightFormat } from './weight-format'

interface Weight {
  format: WeightFormat
  outFeatures: number
  inFeatures: number
  blockSize: number
}

const bitsOf = ({ format }: Weight) => BITS_PER_ELEMENT[format]
const elements = ({ outFeatures, inFeatures }: Weight) => outFeatures * inFeatures

const WEIGHT_ATTRS = {
  format: name(WEIGHT_FORMATS, undefined, 'weight format'),
  outFeatures: size(),
  inFeatures: size(),
  /** Elements per scale, 4-bit formats only. */
  blockSize: size(0),
  /** What the values of a 4-bit weight are rounded to. */
  roundTo: name(ROUNDINGS, 'none'),
}

const DENSE = floats('outFeatures', 'inFeatures')
const PACKED = ints((a: Weight) => Math.ceil((elements(a) * bitsOf(a)) / 32))
const ABSMAX = floats((a: Weight) => Math.ceil(elements(a) / a.blockSize))
const CODE = floats(16)
const SCALE = floats('outFeatures')

/** The tensors of a weight `[outFeatures, inFeatures]` in its format. */
const WEIGHT = {
  weight: (a: Weight): typeof DENSE | typeof PACKED => (a.format === 'f32' ? DENSE : PACKED),
  absmax: (a: Weight) => (bitsOf(a) === 4 ? ABSMAX : undefined),
  code: (a: Weight) => (bitsOf(a) === 4 ? CODE : undefined),
  scale: (a: Weight) => (a.format === 'int8' ? SCALE : undefined),
}

const checkWeight = (a: Weight) =>
  bitsOf(a) === 4 && a.blockSize < 1 ? `blockSize must be at least 1, not ${a.blockSize}` : undefined

const NORM_ATTRS = {
  /** Added to the mean square. */
  eps: number(),
  /** Added to the weight: 0, or 1 for models that store `weight - 1` (gemma). */
  offset: number(),
}

const ATTENTION_ATTRS = {
  numHeads: size(),
  /** Query head `h` reads key/value head `floor(h * numKvHeads / numHeads)`. */
  numKvHeads: size(),
  headDim: size(),
  /** Multiplies the scores; usually `1 / sqrt(headDim)`. */
  scale: number(),
  /** A query sees this many keys at most, itself included. 0 for all. Default 0. */
  slidingWindow: size(0),
  /** Scores become `softcap * tanh(score / softcap)` (gemma2). 0 for none. Default 0. */
  softcap: number(0),
  /** Products may round their factors as those with 16-bit and quantized weights do on this backend. Default false. */
  rounded: boolean(false),
}
type Attention = AttrsOf<Kernel & { attrs: typeof ATTENTION_ATTRS }>

const queryWidth = (a: Attention) => a.numHeads * a.headDim
const keyWidth = (a: Attention) => a.numKvHeads * a.headDim

function checkAttention(
  { numHeads, numKvHeads, headDim }: Attention,
  size: (name: string) => number,
): string | undefined {
  if (!(numHeads >= 1 && numKvHeads >= 1 && headDim >= 1 && numHeads % numKvHeads === 0))
    return 'expected heads that share kv heads evenly'
  if (size('bounds') < 1) return 'cuSeqlens must have at least one element'
  // Undefined without ranges.
  if ((size('sequences') ?? size('bounds') - 1) !== size('bounds') - 1)
    return 'kvStart and kvLength must have one element per sequence'
  return undefined
}

type Sequences = Record<'q' | 'k' | 'cuSeqlens', Tensor> & { kvStart?: Tensor; kvLength?: Tensor }

function checkSequences({ q, k, cuSeqlens, kvStart, kvLength }: Sequences): string | undefined {
  const bounds = cuSeqlens.dataSync<'int32'>()
  const [starts, lengths] = [kvStart?.dataSync<'int32'>(), kvLength?.dataSync<'int32'>()]
  if (Boolean(starts) !== Boolean(lengths)) return 'kvStart and kvLength go together'
  const [tokens, keys] = [q.shape[0]!, k.shape[0]!]
  let inside = bounds[0] === 0 && bounds.at(-1) === tokens && (starts !== undefined || keys === tokens)
  for (let s = 0; s + 1 < bounds.length; s++) {
    const length = bounds[s + 1]! - bounds[s]!
    inside &&= length >= 0
    if (starts) inside &&= starts[s]! >= 0 && lengths![s]! >= length && starts[s]! + lengths![s]! <= keys
  }
  return inside ? undefined : 'expected sequences inside the tokens'
}

const outside = (ids: Tensor, rows: number) => ids.dataSync().some((id) => id < 0 || id >= rows)
const checkIds = ({ ids }: { ids: Tensor }, { outFeatures }: { outFeatures: number }) =>
  outside(ids, outFeatures) ? 'expected ids inside the table' : undefined

const SWIGLU_ATTRS = {
  /** `silu` (Llama) or the tanh approximation of GELU (Gemma). */
  activation: name(['silu', 'gelu_tanh'], 'silu'),
}

const LORA_ATTRS = {
  /** `loraAlpha / r`, or what the variant makes of it. */
  scaling: number(),
  /** Probability of dropping an element of the low-rank branch's input. 0 when not training. */
  dropout: probability,
  /** Seed of the dropout mask; must differ from layer to layer and step to step. */
  seed: number(),
}

interface Wanted {
  needsInputGrad: boolean
  needsWeightGrad: boolean
}

const LORA_FACTORS = {
  loraA: parameter(floats('rank', 'inFeatures')),
  loraB: parameter(floats('outFeatures', 'rank')),
}
const LORA_INPUT = floats('tokens', 'inFeatures')
const LORA_LOW = floats('tokens', 'rank')
const LORA_ADDEND = optional(floats('tokens', 'inFeatures'))
const LORA_DX = over('addend', activation('tokens', 'inFeatures'))
const LORA_DA = float32('rank', 'inFeatures')
const LORA_DB = float32('outFeatures', 'rank')
const LOSS_DHIDDEN = activation('tokens', 'inFeatures')
const LOSS_DWEIGHT = float32('outFeatures', 'inFeatures')
const GATE_GRADS = [activation('tokens', 'width'), activation('tokens', 'width')] as const
const GATE_GRADS_OVER = [over('gate', GATE_GRADS[0]), over('up', GATE_GRADS[1])] as const

const ADAMW_ATTRS = {
  lr: number(),
  beta1: number(),
  beta2: number(),
  eps: number(),
  weightDecay: number(),
  /** 1 at the first step; sets the bias correction. */
  step: ordinal,
  /** Multiplies the gradient first: loss normalisation and clipping in one. */
  gradScale: number(),
}

const trained = { dtype: 'float32', shape: 'alike', role: 'trained' } as const
const gradient = { dtype: 'float32', shape: 'alike' } as const
const moment = { dtype: 'float32', shape: 'alike', role: 'state' } as const
const codes = { dtype: 'int32', shape: (n: number) => Math.ceil(n / 4), role: 'state' } as const
const scales = { dtype: 'float32', shape: (n: number) => Math.ceil(n / 256), role: 'state' } as const

export const KERNELS = {
  RMSNorm: {
    attrs: NORM_ATTRS,
    inputs: { x: floats('tokens', 'width'), weight: floats('width') },
    outputs: { y: activation('tokens', 'width') },
  },
  RMSNormGrad: {
    attrs: NORM_ATTRS,
    inputs: {
      dy: floats('tokens', 'width'),
      x: floats('tokens', 'width'),
      weight: floats('width'),
      addend: optional(floats('tokens', 'width')),
    },
    outputs: { dx: over('addend', activation('tokens', 'width')) },
  },
  RMSNormWeightGrad: {
    attrs: { eps: NORM_ATTRS.eps },
    inputs: { dy: floats('tokens', 'width'), x: floats('tokens', 'width') },
    outputs: { dWeight: float32('width') },
  },
  RotaryEmbedding: {
    attrs: {
      headDim: size(),
      /** Leading dimensions of each head that are rotated; the rest pass through. */
      rotaryDim: size(),
      /** Rotates back: the gradient. */
      inverse: boolean(false),
    },
    inputs: {
      x: floats('tokens', 'width'),
      cos: floats('tokens', (a: { rotaryDim: number }) => a.rotaryDim / 2),
      sin: floats('tokens', (a: { rotaryDim: number }) => a.rotaryDim / 2),
    },
    outputs: { y: activation('tokens', 'width') },
    check: ({ headDim, rotaryDim }: { headDim: number; rotaryDim: number }, size: (name: string) => number) => {
      if (headDim < 1 || size('width') % headDim) return `x has ${size('width')} columns, not whole heads of ${headDim}`
      return rotaryDim > headDim ? `expected an even rotaryDim up to headDim ${headDim}, not ${rotaryDim}` : undefined
    },
  },
  CausalAttention: {
    attrs: ATTENTION_ATTRS,
    inputs: {
      q: floats('tokens', queryWidth),
      k: floats('keys', keyWidth),
      v: floats('keys', keyWidth),
      cuSeqlens: indices('bounds'),
      kvStart: optional(indices('sequences')),
      kvLength: optional(indices('sequences')),
    },
    outputs: { out: activation('tokens', queryWidth), lse: float32('tokens', 'numHeads') },
    check: checkAttention,
    checkIndices: checkSequences,
  },
  CausalAttentionGrad: {
    attrs: ATTENTION_ATTRS,
    inputs: {
      dout: floats('tokens', queryWidth),
      q: floats('tokens', queryWidth),
      k: floats('keys', keyWidth),
      v: floats('keys', keyWidth),
      out: floats('tokens', queryWidth),
      lse: floats('tokens', 'numHeads'),
      cuSeqlens: indices('bounds'),
    },
    outputs: {
      dq: activation('tokens', queryWidth),
      dk: activation('keys', keyWidth),
      dv: activation('keys', keyWidth),
    },
    check: checkAttention,
    checkIndices: checkSequences,
  },
  SwiGLU: {
    attrs: SWIGLU_ATTRS,
    inputs: { gate: floats('tokens', 'width'), up: floats('tokens', 'width') },
    outputs: { y: activation('tokens', 'width') },
  },
  SwiGLUGrad: {
    /** `mayOverwrite`: nothing reads gate and up after this. */
    attrs: { ...SWIGLU_ATTRS, mayOverwrite: boolean(false) },
    inputs: { dy: floats('tokens', 'width'), gate: floats('tokens', 'width'), up: floats('tokens', 'width') },
    outputs: {
      dGate: (a: { mayOverwrite: boolean }) => (a.mayOverwrite ? GATE_GRADS_OVER : GATE_GRADS)[0],
      dUp: (a: { mayOverwrite: boolean }) => (a.mayOverwrite ? GATE_GRADS_OVER : GATE_GRADS)[1],
    },
  },
  Dropout: {
    attrs: {
      /** Probability of dropping an element, in [0, 1). */
      rate: probability,
      /** Seed of the mask; must differ from layer to layer and step to step. */
      seed: number(),
    },
    inputs: { x: floats('tokens', 'width') },
    outputs: { y: activation('tokens', 'width') },
  },
  /** A linear layer with its weight in any format. */
  Linear: {
    attrs: WEIGHT_ATTRS,
    inputs: {
      x: floats('tokens', 'inFeatures'),
      ...WEIGHT,
      bias: optional(parameter(floats('outFeatures'))),
    },
    outputs: { y: activation('tokens', 'outFeatures') },
    check: checkWeight,
  },
  /** The gradient of its input. */
  LinearGrad: {
    attrs: WEIGHT_ATTRS,
    inputs: {
      dy: floats('tokens', 'outFeatures'),
      ...WEIGHT,
      addend: optional(floats('tokens', 'inFeatures')),
    },
    outputs: { dx: over('addend', activation('tokens', 'inFeatures')) },
    check: checkWeight,
  },
  LinearWeightGrad: {
    attrs: {},
    inputs: { dy: floats('tokens', 'out'), x: floats('tokens', 'in') },
    outputs: { dWeight: float32('out', 'in') },
  },
  LoraLinear: {
    attrs: { ...WEIGHT_ATTRS, ...LORA_ATTRS },
    inputs: {
      x: floats('tokens', 'inFeatures'),
      ...WEIGHT,
      ...LORA_FACTORS,
      bias: optional(parameter(floats('outFeatures'))),
    },
    /** `xa` is the dropped input times A, which the gradient of B needs. */
    outputs: { y: activation('tokens', 'outFeatures'), xa: activation('tokens', 'rank') },
    check: checkWeight,
  },
  LoraLinearGrad: {
    attrs: { ...WEIGHT_ATTRS, ...LORA_ATTRS, needsInputGrad: boolean(), needsWeightGrad: boolean() },
    inputs: {
      dy: floats('tokens', 'outFeatures'),
      ...WEIGHT,
      ...LORA_FACTORS,
      x: (a: Wanted) => (a.needsWeightGrad ? LORA_INPUT : undefined),
      xa: (a: Wanted) => (a.needsWeightGrad ? LORA_LOW : undefined),
      addend: (a: Wanted) => (a.needsInputGrad ? LORA_ADDEND : undefined),
    },
    outputs: {
      dx: (a: Wanted) => (a.needsInputGrad ? LORA_DX : undefined),
      dA: (a: Wanted) => (a.needsWeightGrad ? LORA_DA : undefined),
      dB: (a: Wanted) => (a.needsWeightGrad ? LORA_DB : undefined),
    },
    check: checkWeight,
  },
  LinearCrossEntropy: {
    attrs: {
      ...WEIGHT_ATTRS,
      /** Logits become `softcap * tanh(logit / softcap)` (gemma2). 0 for none. Default 0. */
      softcap: number(0),
      needsHiddenGrad: boolean(false),
      needsWeightGrad: boolean(false),
    },
    inputs: {
      hidden: floats('tokens', 'inFeatures'),
      ...WEIGHT,
      labels: indices('tokens'),
      bias: optional(floats('outFeatures')),
    },
    outputs: {
      loss: float32(),
      nll: float32('tokens'),
      entropy: float32('tokens'),
      correct: float32('tokens'),
      dHidden: (a: { needsHiddenGrad: boolean }) => (a.needsHiddenGrad ? LOSS_DHIDDEN : undefined),
      dWeight: (a: Wanted) => (a.needsWeightGrad ? LOSS_DWEIGHT : undefined),
    },
    check: checkWeight,
    checkIndices: ({ labels }: { labels: Tensor }, { outFeatures }: Weight) =>
      labels.dataSync().some((label) => label >= outFeatures) ? 'expected labels inside the vocabulary' : undefined,
  },
  EmbeddingLookup: {
    attrs: WEIGHT_ATTRS,
    inputs: { ids: indices('tokens'), ...WEIGHT },
    outputs: { y: activation('tokens', 'inFeatures') },
    check: checkWeight,
    checkIndices: checkIds,
  },
  EmbeddingGrad: {
    attrs: { outFeatures: size() },
    inputs: { dy: floats('tokens', 'width'), ids: indices('tokens') },
    outputs: { dWeight: float32('outFeatures', 'width') },
    checkIndices: checkIds,
  },
  Dequantize: {
    attrs: { ...WEIGHT_ATTRS, rowStart: size(), rowEnd: size() },
    inputs: WEIGHT,
    outputs: { y: float32((a: { rowStart: number; rowEnd: number }) => a.rowEnd - a.rowStart, 'inFeatures') },
    check: (a: Weight & { rowStart: number; rowEnd: number }) =>
      a.rowStart <= a.rowEnd && a.rowEnd <= a.outFeatures
        ? checkWeight(a)
        : `rows [${a.rowStart}, ${a.rowEnd}) are not inside [0, ${a.outFeatures})`,
  },
  KvCacheUpdate: {
    attrs: {},
    inputs: {
      cache: { ...floats('capacity', 'width'), role: 'cache' },
      x: floats('tokens', 'width'),
      rows: indices('tokens'),
    },
    outputs: {},
  },
  AdamWSteps: {
    attrs: ADAMW_ATTRS,
    inputs: {},
    entries: { param: trained, grad: gradient, expAvg: moment, expAvgSq: moment },
    outputs: {},
  },
  AdamW8bitSteps: {
    attrs: ADAMW_ATTRS,
    inputs: { qmap1: floats(256), qmap2: floats(256) },
    entries: { param: trained, grad: gradient, state1: codes, state2: codes, absmax1: scales, absmax2: scales },
    outputs: {},
  },
  GradNorm: {
    attrs: {},
    inputs: {},
    entries: { x: gradient },
    outputs: { norm: float32() },
  },
} satisfies Record<string, Kernel>

export type KernelName = keyof typeof KERNELS
export type KernelAttrs<Name extends KernelName> = AttrsOf<(typeof KERNELS)[Name]>
export type KernelInputs<Name extends KernelName, Kind = TensorInfo> = InputsOf<(typeof KERNELS)[Name], Kind>
