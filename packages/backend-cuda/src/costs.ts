import { type NamedTensorInfoMap, type TensorInfo, util } from '@tensorflow/tfjs-core'
import type { WeightAttrs } from '@tunesmith/backend'
import type { KernelAttrs } from '@tunesmith/backend/contract'

/** One call of a kernel, as TensorFlow.js made it. */
interface KernelCost {
  inputs: NamedTensorInfoMap
  attrs: Record<string, unknown>
  outputs: readonly TensorInfo[]
  /** Bytes of a tensor as the device stores it; 0 for one that only the host has. */
  bytesOf: (x: TensorInfo | undefined) => number
  /** Integers that are on the host as well. */
  hostInts: (x: TensorInfo) => Int32Array
  /** Bytes per element of activations. */
  activationBytes: number
}

/** What a call must move to and from the device's memory, and the multiplications and additions of its products. */
interface Cost {
  bytes: number
  flops: number
}

/** With up to this many rows, a weight is read in its stored format; with more, it is expanded for the matrix product. */
const DECODE_ROWS = 4

const rows = (x: TensorInfo | undefined) => x?.shape[0] ?? 0
const cols = (x: TensorInfo | undefined) => x?.shape[1] ?? 0

/** Every input is read once, every output written once. */
function once({ inputs, outputs, bytesOf }: KernelCost): number {
  return [...Object.values(inputs), ...outputs].reduce((sum, x) => sum + bytesOf(x as TensorInfo), 0)
}

/** A weight that is not stored as the products want it is written in their type and read again. */
function expansion({ attrs, activationBytes }: KernelCost, tokens: number): number {
  const { format, outFeatures, inFeatures } = attrs as unknown as WeightAttrs
  const direct = format === (activationBytes === 2 ? 'bf16' : 'f32')
  return direct || tokens <= DECODE_ROWS ? 0 : 2 * activationBytes * outFeatures * inFeatures
}

/** Query and key pairs of all sequences that the causal mask and the window leave, of one head. */
function pairs({ inputs, attrs, hostInts }: KernelCost): number {
  const bounds = hostInts(inputs.cuSeqlens!)
  const lengths = inputs.kvLength && hostInts(inputs.kvLength)
  const window = (attrs.slidingWindow as number) || Number.POSITIVE_INFINITY
  let sum = 0
  for (let s = 0; s + 1 < bounds.length; s++) {
    const queries = bounds[s + 1]! - bounds[s]!
    const before = (lengths?.[s] ?? queries) - queries
    for (let i = 1; i <= queries; i++) sum += Math.min(window, before + i)
  }
  return sum
}

function attention(call: KernelCost, products: number): Cost {
  const { inputs, attrs, bytesOf, hostInts } = call
  const { numHeads, headDim } = attrs as { numHeads: number; headDim: number }
  let bytes = once(call)
  if (inputs.kvLength) {
    // Of a cache only the rows in use are read.
    const used = hostInts(inputs.kvLength).reduce((sum, n) => sum + n, 0)
    for (const cache of [inputs.k, inputs.v]) bytes -= bytesOf(cache) * (1 - used / rows(cache))
  }
  return { bytes, flops: 2 * products * numHeads * headDim * pairs(call) }
}

function linear(call: KernelCost, x: TensorInfo | undefined): Cost {
  const { outFeatures, inFeatures } = call.attrs as unknown as WeightAttrs
  const tokens = rows(x)
  return { bytes: once(call) + expansion(call, tokens), flops: 2 * tokens * outFeatures * inFeatures }
}

/** Of the low-rank branch: this many products of `[tokens, rank]` with a side of the weight, on top of `cost`. */
function withBranch({ bytes, flops }: Cost, tokens: number, rank: number, sides: number): Cost {
  return { bytes, flops: flops + 2 * tokens * rank * sides }
}

function loraGrad(call: KernelCost): Cost {
  const { inputs, bytesOf } = call
  const { needsInputGrad, needsWeightGrad } = call.attrs as unknown as KernelAttrs<'LoraLinearGrad'>
  const { dy, x, xa, loraA, loraB, weight, absmax, code, scale } = inputs
  const unread = [...(needsInputGrad ? [] : [weight, absmax, code, scale, loraA]), ...(needsWeightGrad ? [] : [x, xa])]
  const { bytes, flops } = needsInputGrad ? linear(call, dy) : { bytes: once(call), flops: 0 }
  // dy B, which both need; its product with A; with x, and dy with xa.
  const sides = rows(loraB) + (needsInputGrad ? cols(loraA) : 0) + (needsWeightGrad ? cols(loraA) + rows(loraB) : 0)
  const read = unread.reduce((sum, tensor) => sum - bytesOf(tensor), bytes)
  return withBranch({ bytes: read, flops }, rows(dy), rows(loraA), sides)
}

/** The head's logits are written, read, and turned into their gradient, which two products read. */
function crossEntropy(call: KernelCost): Cost {
  const { inputs, attrs, bytesOf, hostInts, activationBytes } = call
  const { outFeatures, inFeatures, needsHiddenGrad, needsWeightGrad } = attrs as unknown as Partial<
    KernelAttrs<'LinearCrossEntropy'>
  > &
    WeightAttrs
  const labelled = hostInts(inputs.labels!).reduce((sum, label) => sum + (label >= 0 ? 1 : 0), 0)
  const gradients = (needsHiddenGrad ? 1 : 0) + (needsWeightGrad ? 1 : 0)
  const logits = labelled * outFeatures
  const loss = 8 * logits + (gradients > 0 ? (1 + gradients) * activationBytes * logits : 0)
  const again = needsHiddenGrad ? bytesOf(inputs.weight) : 0
  return {
    bytes: once(call) + expansion(call, Number.POSITIVE_INFINITY) + again + loss,
    flops: 2 * (1 + gradients) * logits * inFeatures,
  }
}

/** A list of parameters and states that are changed in place: all but gradients and code tables is written as well. */
function steps(call: KernelCost): Cost {
  const written = Object.entries(call.inputs).filter(([name]) => !/^(grad|qmap)/.test(name))
  const again = written.reduce((sum, [, x]) => sum + call.bytesOf(x as TensorInfo), 0)
  return { bytes: once(call) + again, flops: 0 }
}

/** What is not here reads its inputs and writes its outputs once. */
const COSTS: Record<string, (call: KernelCost) => Cost> = {
  Linear: (call) => linear(call, call.inputs.x),
  LinearGrad: (call) => linear(call, call.inputs.dy),
  LinearWeightGrad: (call) => ({
    bytes: once(call),
    flops: 2 * rows(call.inputs.dy) * cols(call.inputs.dy) * cols(call.inputs.x),
  }),
  LoraLinear(call) {
    const { x, loraA, loraB } = call.inputs
    return withBranch(linear(call, x), rows(x), rows(loraA), cols(loraA) + rows(loraB))
  },
  LoraLinearGrad: loraGrad,
  CausalAttention: (call) => attention(call, 2),
  CausalAttentionGrad: (call) => attention(call, 5),
  LinearCrossEntropy: crossEntropy,
  EmbeddingLookup({ inputs, attrs, outputs, bytesOf }) {
    const { outFeatures } = attrs as unknown as WeightAttrs
    const { ids, ...weight } = inputs as Record<string, TensorInfo>
    const table = Object.values(weight).reduce((sum, x) => sum + bytesOf(x), 0)
    return { bytes: bytesOf(ids) + (table / outFeatures) * rows(ids) + bytesOf(outputs[0]), flops: 0 }
  },
  AdamWSteps: steps,
  AdamW8bitSteps: steps,
  KvCacheUpdate: ({ inputs, bytesOf }) => ({ bytes: 2 * bytesOf(inputs.x) + bytesOf(inputs.rows), flops: 0 }),
  BatchMatMul(call) {
    const { a, b } = call.inputs as { a: TensorInfo; b: TensorInfo }
    const { transposeB } = call.attrs
    return { bytes: once(call), flops: 2 * util.sizeFromShape(a.shape) * b.shape.at(transposeB ? -2 : -1)! }
  },
  Slice: ({ outputs, bytesOf }) => ({ bytes: 2 * bytesOf(outputs[0]), flops: 0 }),
  GatherV2: ({ inputs, outputs, bytesOf }) => ({ bytes: 2 * bytesOf(outputs[0]) + bytesOf(inputs.indices), flops: 0 }),
  OptimizerState: () => ({ bytes: 0, flops: 0 }),
  ZerosLike: ({ outputs, bytesOf }) => ({ bytes: bytesOf(outputs[0]), flops: 0 }),
  OnesLike: ({ outputs, bytesOf }) => ({ bytes: bytesOf(outputs[0]), flops: 0 }),
}

/**
 * The cost of one call by counting: the least that its algorithm moves and multiplies, so that a kernel that reads
 * something twice shows as one that does not reach the device's bandwidth.
 *
 * Operations are those of matrix products and of attention, two per multiplication and addition; attention counts two
 * products forward and five backward over the pairs its mask leaves.
 */
export function costOf(kernel: string, call: KernelCost): Cost {
  return COSTS[kernel]?.(call) ?? { bytes: once(call), flops: 0 }
}
