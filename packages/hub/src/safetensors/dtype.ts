/**
 * Bits per element of every dtype of the format, in the order the original writer sorts by (its enum, as of 0.8):
 * a file lays out the dtypes from the last to the first, so that wide elements come first and stay aligned.
 */
const BITS = {
  BOOL: 8,
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  U8: 8,
  I8: 8,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E8M0: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2FNUZ: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  C64: 64,
  F64: 64,
  I64: 64,
  U64: 64,
} as const

/** A safetensors element type. `F4` and `F6_*` are packed: a tensor must still fill whole bytes. */
export type SafetensorsDtype = keyof typeof BITS

const RANK = new Map(Object.keys(BITS).map((name, index) => [name, index]))

export function isSafetensorsDtype(name: string): name is SafetensorsDtype {
  return RANK.has(name)
}

export const safetensorsDtypes = Object.keys(BITS) as SafetensorsDtype[]

/** Bits of one element. */
export function dtypeBits(dtype: SafetensorsDtype): number {
  return BITS[dtype]
}

/** Sorts as the original writer does: negative when `a` is laid out before `b`. */
export function compareDtypes(a: SafetensorsDtype, b: SafetensorsDtype): number {
  return RANK.get(b)! - RANK.get(a)!
}

/**
 * Bytes of a tensor; undefined when the shape is not whole numbers from 0, the size passes 2^53, or packed elements do
 * not fill whole bytes.
 */
export function tensorByteLength(dtype: SafetensorsDtype, shape: readonly number[]): number | undefined {
  let bits: number = BITS[dtype]
  if (shape.includes(0)) bits = 0
  for (const size of shape) {
    if (!Number.isSafeInteger(size) || size < 0) return undefined
    bits *= size
    if (!Number.isSafeInteger(bits)) return undefined
  }
  return bits % 8 === 0 ? bits / 8 : undefined
}
