/** How GGUF stores weights in blocks, by ggml's names. */
export const GGUF_TYPES = [
  ...(['q8_0', 'q5_1', 'q5_0', 'q4_1', 'q4_0', 'iq4_nl'] as const),
  ...(['q6_k', 'q5_k', 'q4_k', 'q3_k', 'q2_k', 'iq4_xs'] as const),
] as const
export type GgufType = (typeof GGUF_TYPES)[number]

/** Of each type: elements in a block, and the block's bytes. */
export const GGUF_BLOCKS: Readonly<Record<GgufType, { size: number; bytes: number }>> = {
  q8_0: { size: 32, bytes: 34 },
  q5_1: { size: 32, bytes: 24 },
  q5_0: { size: 32, bytes: 22 },
  q4_1: { size: 32, bytes: 20 },
  q4_0: { size: 32, bytes: 18 },
  iq4_nl: { size: 32, bytes: 18 },
  q6_k: { size: 256, bytes: 210 },
  q5_k: { size: 256, bytes: 176 },
  q4_k: { size: 256, bytes: 144 },
  q3_k: { size: 256, bytes: 110 },
  q2_k: { size: 256, bytes: 84 },
  iq4_xs: { size: 256, bytes: 136 },
}
