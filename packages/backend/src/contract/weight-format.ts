export const WEIGHT_FORMATS = ['f32', 'bf16', 'f16', 'nf4', 'fp4', 'int8'] as const
/** How the elements of a weight matrix are stored; the elements of all but `f32` are packed into an int32 tensor. */
export type WeightFormat = (typeof WEIGHT_FORMATS)[number]

export const ROUNDINGS = ['none', 'bf16', 'f16'] as const
/** What the values of a 4-bit weight are rounded to when they are unpacked. */
export type RoundTo = (typeof ROUNDINGS)[number]

/** Bits per element of each format, scales not counted. */
export const BITS_PER_ELEMENT: Record<WeightFormat, number> = { f32: 32, bf16: 16, f16: 16, nf4: 4, fp4: 4, int8: 8 }
