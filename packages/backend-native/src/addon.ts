import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import type { WeightArgs } from '@tunesmith/backend/contract'
import { TunesmithError } from '@tunesmith/core'

type F = Float32Array

/** The functions of the addon. Those that compute return false when working memory could not be had. */
export interface Addon {
  isa(): string
  threads(): number
  setThreads(threads: number): void
  trimScratch(): void
  allocateBuffer(bytes: number): ArrayBuffer | null
  freeBuffer(buffer: ArrayBuffer): boolean

  matMul(...args: [...sizes: number[]] | unknown[]): boolean
  frozenLinear(tokens: number, ...rest: [...WeightArgs, x: F, bias: F | null, y: F]): boolean
  frozenLinearGrad(tokens: number, ...rest: [...WeightArgs, dy: F, dx: F]): boolean
  linearWeightGrad(tokens: number, outFeatures: number, inFeatures: number, dy: F, x: F, dw: F): boolean
  loraLinear(
    tokens: number,
    rank: number,
    ...rest: [...WeightArgs, x: F, bias: F | null, a: F, b: F, scaling: number, p: number, seed: number, y: F, xa: F]
  ): boolean
  loraLinearGrad(
    tokens: number,
    rank: number,
    ...rest: [
      ...WeightArgs,
      dy: F,
      a: F,
      b: F,
      scaling: number,
      p: number,
      seed: number,
      dx: F | null,
      x: F | null,
      xa: F | null,
      dA: F | null,
      dB: F | null,
    ]
  ): boolean
  dequantize(rowStart: number, rowEnd: number, ...rest: [...WeightArgs, y: F]): boolean
  embeddingLookup(tokens: number, ...rest: [...WeightArgs, ids: Int32Array, y: F]): boolean
  embeddingGrad(tokens: number, vocab: number, hidden: number, dy: F, ids: Int32Array, dw: F): boolean

  rmsNorm(tokens: number, hidden: number, x: F, weight: F, eps: number, offset: number, y: F): boolean
  rmsNormGrad(tokens: number, hidden: number, dy: F, x: F, weight: F, eps: number, offset: number, dx: F): boolean
  rmsNormWeightGrad(tokens: number, hidden: number, dy: F, x: F, eps: number, dw: F): boolean
  rope(
    tokens: number,
    heads: number,
    headDim: number,
    rotaryDim: number,
    inverse: boolean,
    ...rest: [x: F, cos: F, sin: F, y: F]
  ): boolean
  attention(...args: [...AttentionArgs, out: F, lse: F]): boolean
  attentionGrad(...args: [...AttentionArgs, dout: F, out: F, lse: F, dq: F, dk: F, dv: F]): boolean
  swiglu(size: number, gelu: boolean, gate: F, up: F, y: F): boolean
  swigluGrad(size: number, gelu: boolean, dy: F, gate: F, up: F, dgate: F, dup: F): boolean
  crossEntropy(
    tokens: number,
    ...rest: [
      ...WeightArgs,
      hidden: F,
      bias: F | null,
      labels: Int32Array,
      labelSmoothing: number,
      softcap: number,
      dft: boolean,
      lossSum: F,
      nll: F,
      entropy: F,
      correct: F,
      dHidden: F | null,
      dWeight: F | null,
    ]
  ): boolean
  adamW(
    size: number,
    ...rest: [
      param: F,
      grad: F,
      expAvg: F,
      expAvgSq: F,
      lr: number,
      beta1: number,
      beta2: number,
      eps: number,
      weightDecay: number,
      step: number,
      gradScale: number,
    ]
  ): boolean
  adamW8bit(
    size: number,
    ...rest: [
      param: F,
      grad: F,
      state1: Int32Array,
      state2: Int32Array,
      absmax1: F,
      absmax2: F,
      qmap1: F,
      qmap2: F,
      lr: number,
      beta1: number,
      beta2: number,
      eps: number,
      weightDecay: number,
      step: number,
      gradScale: number,
    ]
  ): boolean
  sumSquares(size: number, x: F): number
  copyRows(count: number, width: number, capacity: number, x: F, rows: Int32Array, cache: F): boolean

  binary(op: number, mode: number, outer: number, inner: number, a: F, b: F, y: F): boolean
  unary(op: number, size: number, x: F, y: F): boolean
  softmax(rows: number, cols: number, x: F, y: F): boolean
  reduceSum(outer: number, axis: number, inner: number, x: F, y: F): boolean
  transpose2d(rows: number, cols: number, x: F, y: F): boolean
}

export type AttentionArgs = [
  tokens: number,
  keys: number,
  sequences: number,
  heads: number,
  kvHeads: number,
  headDim: number,
  scale: number,
  window: number,
  softcap: number,
  q: F,
  k: F,
  v: F,
  cuSeqlens: Int32Array,
  kvStart: Int32Array | null,
  kvLength: Int32Array | null,
]

let loaded: Addon | undefined

/**
 * The native addon: a package prebuilt for this platform, else what `npm run build:addon` made.
 *
 * @throws {TunesmithError} `backend` when neither is there or the file does not load.
 */
export function loadAddon(): Addon {
  if (loaded) return loaded
  const require = createRequire(import.meta.url)
  const prebuilt = `@tunesmith/backend-native-${process.platform}-${process.arch}`
  const built = fileURLToPath(new URL('../build/Release/tunesmith_native.node', import.meta.url))
  const problems: string[] = []
  for (const [name, present] of [
    [prebuilt, () => require.resolve(prebuilt) !== ''],
    [built, () => existsSync(built)],
  ] as const)
    try {
      if (!present()) throw new Error('not there')
      loaded = require(name) as Addon
      return loaded
    } catch (error) {
      problems.push(`${name}: ${(error as Error).message.split('\n')[0]}`)
    }
  throw new TunesmithError(`The native addon could not be loaded: ${problems.join('; ')}`, {
    code: 'backend',
    remedy: 'Run `npm run build:addon` in @tunesmith/backend-native (needs a C++ compiler and Python 3)',
  })
}
