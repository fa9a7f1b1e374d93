import { parseOptions } from '@tunesmith/core'
import { z } from 'zod'
import { checkFloatMatrix, floatTensorFields, toFloat32 } from '../floats'
import { dequantize4bit, type Quantized4bit, quantize4bit } from '../four-bit/quantize'
import { dequantizeInt8, type QuantizedInt8, quantizeInt8 } from '../int8'
import { truncatedSvd } from './svd'

const loftqOptions = z.strictObject({
  ...floatTensorFields,
  /** The adapter's rank. */
  rank: z.int().positive(),
  /** Rounds of quantizing and decomposing. Default 1, as in PEFT; more bring the two closer. */
  iterations: z.int().positive().default(1),
  /** What the base is quantized to. Default `nf4`. */
  quantType: z.enum(['nf4', 'fp4', 'int8']).default('nf4'),
  /** Of the 4-bit formats. Default 64. */
  blocksize: z.int().default(64),
  /** Default false. */
  doubleQuant: z.boolean().default(false),
  /** The adapter's `loraAlpha / r` (or its rank-stabilized kin); the factors are divided by it. Default 1. */
  scaling: z.number().positive().default(1),
  /** Of the randomized SVD. Default 0. */
  seed: z.int().default(0),
})

export interface LoftqInit {
  /** The base to freeze. */
  quantized: Quantized4bit | QuantizedInt8
  /** `[rank, in]`. */
  loraA: Float32Array
  /** `[out, rank]`. */
  loraB: Float32Array
  /** Norm of `weight - dequantized` over norm of the weight: without the adapter. */
  errorWithout: number
  /** Norm of `weight - dequantized - scaling B A` over norm of the weight. */
  errorWith: number
}

/**
 * LoftQ: starts a LoRA adapter at what quantizing its base has lost, so that training begins closer to the original.
 *
 * Each round quantizes what the adapter does not hold and decomposes the residual: B A is its best approximation of the
 * given rank, with the singular values shared evenly between the two. As PEFT's `init_lora_weights="loftq"`.
 *
 * @throws {TunesmithError} `invalid_options`; `numerical` for a weight with NaN or infinities.
 * @see Li et al., "LoftQ: LoRA-Fine-Tuning-Aware Quantization for Large Language Models", 2023
 */
export function loftqInit(options: z.input<typeof loftqOptions>): LoftqInit {
  const where = 'loftqInit'
  const parsed = parseOptions(loftqOptions, options, where)
  const { rank, iterations, quantType, blocksize, doubleQuant, scaling, seed } = parsed
  const shape = checkFloatMatrix(parsed, where)
  const [rows, columns] = shape
  const weight = toFloat32(parsed.data, parsed.dtype)
  const quantize = (data: Float32Array): Quantized4bit | QuantizedInt8 =>
    quantType === 'int8'
      ? quantizeInt8({ data, shape })
      : quantize4bit({ data, shape, quantType, blocksize, doubleQuant })

  let target = weight
  for (let iteration = 1; ; iteration++) {
    const quantized = quantize(target)
    const restored =
      quantized.kind === 'int8' ? dequantizeInt8({ quantized }) : dequantize4bit({ quantized, dtype: 'float32' })
    const residual = weight.map((value, i) => value - restored[i]!)
    const { u, s, vt } = truncatedSvd({ matrix: residual, rows, columns, rank, seed })
    const product = multiply(u, s, vt, rows, columns)
    if (iteration < iterations) {
      target = weight.map((value, i) => value - product[i]!)
      continue
    }
    const roots = s.map((value) => Math.sqrt(value / scaling))
    const loraB = u.map((value, i) => value * roots[i % rank]!)
    const loraA = vt.map((value, i) => value * roots[Math.floor(i / columns)]!)
    const size = norm(weight)
    const relative = (values: Float32Array) => (size === 0 ? 0 : norm(values) / size)
    const errorWithout = relative(residual)
    const errorWith = relative(residual.map((value, i) => value - product[i]!))
    // The dtype to dequantize to is the original's, whatever the iterations were computed in.
    const base = quantized.kind === '4bit' ? { ...quantized, dtype: parsed.dtype } : quantized
    return { quantized: base, loraA, loraB, errorWithout, errorWith }
  }
}

const norm = (values: Float32Array) => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0))

/** `u diag(s) vt`, row-major `[rows, columns]`. */
function multiply(u: Float32Array, s: Float32Array, vt: Float32Array, rows: number, columns: number): Float32Array {
  const out = new Float32Array(rows * columns)
  const sum = new Float64Array(columns)
  for (let i = 0; i < rows; i++) {
    sum.fill(0)
    for (let k = 0; k < s.length; k++) {
      const weight = u[i * s.length + k]! * s[k]!
      for (let j = 0; j < columns; j++) sum[j]! += weight * vt[k * columns + j]!
    }
    out.set(sum, i * columns)
  }
  return out
}
