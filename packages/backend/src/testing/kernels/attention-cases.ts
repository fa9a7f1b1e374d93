// Cases of attention: packed sequences as in training, and queries on top of a cache.
import * as tf from '@tensorflow/tfjs-core'
import type { Random } from '@tunesmith/core'
import { matrix, normals } from './harness'
import type { AttentionCase } from './reference'

export const ints = (values: readonly number[]) => tf.tensor1d(Int32Array.from(values), 'int32')

export function attentionCase(
  headDim: number,
  lengths: readonly number[],
  rest: Partial<AttentionCase> = {},
): AttentionCase {
  const cuSeqlens = [0]
  for (const length of lengths) cuSeqlens.push(cuSeqlens.at(-1)! + length)
  const shape = { tokens: cuSeqlens.at(-1)!, cuSeqlens, numHeads: 2, numKvHeads: 1, headDim }
  return { ...shape, scale: headDim ** -0.5, slidingWindow: 0, softcap: 0, ...rest }
}

export function inputsOf(c: AttentionCase, random: Random) {
  const [wide, narrow] = [c.numHeads * c.headDim, c.numKvHeads * c.headDim]
  const [q, dout] = [normals(random, c.tokens * wide, 2), normals(random, c.tokens * wide)]
  const [k, v] = [normals(random, c.tokens * narrow, 2), normals(random, c.tokens * narrow)]
  const tensors = {
    q: matrix(q, c.tokens, wide),
    k: matrix(k, c.tokens, narrow),
    v: matrix(v, c.tokens, narrow),
    cuSeqlens: ints(c.cuSeqlens),
  }
  return { q, k, v, dout, tensors, doutTensor: matrix(dout, c.tokens, wide) }
}

/** Queries of `c` on top of a cache of `rows` rows of keys and values. */
export function cachedCase(random: Random, c: AttentionCase, rows: number) {
  const [wide, narrow] = [c.numHeads * c.headDim, c.numKvHeads * c.headDim]
  const q = normals(random, c.tokens * wide, 2)
  const [k, v] = [normals(random, rows * narrow, 2), normals(random, rows * narrow)]
  const tensors = {
    q: matrix(q, c.tokens, wide),
    k: matrix(k, rows, narrow),
    v: matrix(v, rows, narrow),
    cuSeqlens: ints(c.cuSeqlens),
    kvStart: ints(c.kvStart!),
    kvLength: ints(c.kvLength!),
  }
  return { q, k, v, tensors }
}

function decodingCase(headDim: number, rest: Partial<AttentionCase> = {}): AttentionCase {
  return { ...attentionCase(headDim, [1, 1]), kvStart: [0, 350], kvLength: [350, 66], ...rest }
}

/** One query on each of two caches of 350 rows: groups of 1 to 12 heads, head sizes that fill their lanes or not. */
export const decodingCases: [string, AttentionCase][] = [
  ['128, four heads a group', decodingCase(128, { numHeads: 8, numKvHeads: 2 })],
  ['64, a full cache and a single key', decodingCase(64, { kvLength: [350, 1] })],
  ['96, as many key heads, a window', decodingCase(96, { numKvHeads: 2, slidingWindow: 70 })],
  ['128, eight heads a group, capped', decodingCase(128, { numHeads: 8, softcap: 6 })],
  ['40, three heads a group, a window of one key', decodingCase(40, { numHeads: 3, slidingWindow: 1 })],
  ['256, a group of twelve', decodingCase(256, { numHeads: 12, kvLength: [130, 65] })],
  ['20, which no 16 bytes divide', decodingCase(20)],
]
