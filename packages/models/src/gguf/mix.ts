import { GGUF_BLOCKS, GGUF_TYPES, type GgufType } from '@tunesmith/quantization'

/** How a tensor is stored. */
export const GGUF_TENSOR_TYPES = ['f32', 'f16', 'bf16', ...GGUF_TYPES] as const
export type GgufTensorType = (typeof GGUF_TENSOR_TYPES)[number]

/** How a file is stored, by llama.cpp's names: mixes give tensors that matter more some more bits. */
export const GGUF_FILE_TYPES = [
  ...(['f32', 'f16', 'bf16', 'q8_0', 'q6_k', 'q5_k_m', 'q5_1', 'q5_0'] as const),
  ...(['q4_k_m', 'q4_k_s', 'q4_1', 'q4_0', 'iq4_nl', 'iq4_xs', 'q3_k_m', 'q2_k'] as const),
] as const
export type GgufFileType = (typeof GGUF_FILE_TYPES)[number]

/** llama.cpp's numbers for them, and what most tensors of such a file are. */
export const FILE_TYPES: Readonly<Record<GgufFileType, { number: number; most: GgufTensorType }>> = {
  f32: { number: 0, most: 'f32' },
  f16: { number: 1, most: 'f16' },
  bf16: { number: 32, most: 'bf16' },
  q8_0: { number: 7, most: 'q8_0' },
  q6_k: { number: 18, most: 'q6_k' },
  q5_k_m: { number: 17, most: 'q5_k' },
  q5_1: { number: 9, most: 'q5_1' },
  q5_0: { number: 8, most: 'q5_0' },
  q4_k_m: { number: 15, most: 'q4_k' },
  q4_k_s: { number: 14, most: 'q4_k' },
  q4_1: { number: 3, most: 'q4_1' },
  q4_0: { number: 2, most: 'q4_0' },
  iq4_nl: { number: 25, most: 'iq4_nl' },
  iq4_xs: { number: 30, most: 'iq4_xs' },
  q3_k_m: { number: 12, most: 'q3_k' },
  q2_k: { number: 10, most: 'q2_k' },
}

export const isQuantized = (type: GgufTensorType): type is GgufType => Object.hasOwn(GGUF_BLOCKS, type)

/** Where rows are no whole blocks of 256, a type with blocks of 32 that loses no more. */
const SMALLER_BLOCKS: Partial<Record<GgufTensorType, GgufType>> = {
  ...{ iq4_xs: 'iq4_nl', q2_k: 'q4_0', q3_k: 'q4_0', q4_k: 'q5_0', q5_k: 'q5_1', q6_k: 'q8_0' },
}
const fits = (type: GgufType, columns: number) => columns % GGUF_BLOCKS[type].size === 0

/** What the choice depends on. */
export interface MixModel {
  layers: number
  /** Query heads that share a key. */
  groups: number
  /** The embeddings are the head too. */
  tied: boolean
}

/**
 * The type of each matrix in a file of the type `file`: llama.cpp's own choice, without an importance matrix.
 *
 * @param matrices llama.cpp's name, without `.weight`, and columns, in the order of the layers.
 */
export function matrixTypes(
  matrices: readonly { name: string; columns: number }[],
  file: GgufFileType,
  { layers, groups, tied }: MixModel,
): GgufTensorType[] {
  const { most } = FILE_TYPES[file]
  if (!isQuantized(most)) return matrices.map(({ name }) => (name === 'position_embd' ? 'f32' : most))
  const partOf = (name: string) => name.replace(/^blk\.\d+\./, '')
  const isValue = (name: string) => /^attn_(v|qkv)$/.test(partOf(name))
  const count = (wanted: (name: string) => boolean) => matrices.filter(({ name }) => wanted(name)).length
  const values = count(isValue)
  const downs = count((name) => partOf(name) === 'ffn_down')
  /** The first and the last eighth of the layers, and every third between. */
  const matters = (layer: number, all: number) => {
    const eighth = Math.trunc(all / 8)
    return layer < eighth || layer >= Math.trunc((7 * all) / 8) || (layer - eighth) % 3 === 2
  }
  let value = 0
  let down = 0

  const valueType = (): GgufType => {
    const at = value++
    let type: GgufType = most
    if (file === 'q2_k') type = groups >= 4 ? 'q4_k' : 'q3_k'
    if (file === 'q3_k_m') type = at < 2 ? 'q5_k' : 'q4_k'
    if (file === 'q4_k_s' && at < 4) type = 'q5_k'
    if ((file === 'q4_k_m' || file === 'q5_k_m') && matters(at, values)) type = 'q6_k'
    if ((file === 'iq4_nl' || file === 'iq4_xs') && groups >= 4) type = 'q5_k'
    // In models of 70B eight heads share a value, so that more bits cost little.
    return layers === 80 && (type === 'q3_k' || type === 'q4_k') ? 'q5_k' : type
  }
  const downType = (): GgufType => {
    const at = down++
    if (file === 'q2_k') return 'q3_k'
    if (file === 'q3_k_m') return at < Math.trunc(downs / 16) ? 'q5_k' : 'q4_k'
    if ((file === 'q4_k_m' || file === 'q5_k_m') && matters(at, downs)) return 'q6_k'
    if (/^(q4_k_s|iq4_nl|iq4_xs)$/.test(file) && at < Math.trunc(downs / 8)) return 'q5_k'
    return most
  }
  const wanted = (name: string, columns: number): GgufType => {
    if (name === 'output' || (tied && name === 'token_embd'))
      return most === 'q8_0' || !fits(most, columns) ? 'q8_0' : 'q6_k'
    if (isValue(name)) return valueType()
    if (partOf(name) === 'ffn_down') return downType()
    if (partOf(name) === 'attn_output' && file === 'q2_k') return 'q3_k'
    if (partOf(name) === 'attn_output' && file === 'q3_k_m') return 'q4_k'
    return most
  }
  return matrices.map(({ name, columns }) => {
    if (name === 'position_embd') return 'f32'
    const type = wanted(name, columns)
    if (fits(type, columns)) return type
    const smaller = SMALLER_BLOCKS[type]
    return smaller && fits(smaller, columns) ? smaller : 'f16'
  })
}
