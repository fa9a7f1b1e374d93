import * as tf from '@tensorflow/tfjs-core'
import { BASE_NAME, type CausalLM, packSequences } from '@tunesmith/models'
import type { Tokenizer } from '@tunesmith/tokenization'
import { z } from 'zod'
import { badRequest } from './errors'

const ids = z.array(z.number().int().nonnegative()).min(1)
const MOST_INPUTS = 2048
/** Tokens of a pass; answers under way get their next token between two of them. */
const PASS_TOKENS = 512

export const embeddingSchema = z.strictObject({
  model: z.string(),
  input: z.union([
    z.string().min(1),
    ids,
    z.array(z.string().min(1)).min(1).max(MOST_INPUTS),
    z.array(ids).min(1).max(MOST_INPUTS),
  ]),
  encoding_format: z.enum(['float', 'base64']).nullish(),
  user: z.string().nullish(),
})
export type EmbeddingRequest = z.output<typeof embeddingSchema>

function sequencesOf(tokenizer: Tokenizer, input: EmbeddingRequest['input']): number[][] {
  if (typeof input === 'string') return [tokenizer.encode(input).ids]
  if (typeof input[0] === 'number') return [input as number[]]
  return (input as (string | number[])[]).map((one) => (typeof one === 'string' ? tokenizer.encode(one).ids : one))
}

/** The mean of a sequence's last hidden states, of length 1; `[sequences]` vectors. */
function meanVectors(model: CausalLM, sequences: readonly number[][], adapter: string | undefined): Float32Array[] {
  const width = model.config.hiddenSize
  // A model with adapters on it is told of each sequence which one it wants, or none.
  const adapterNames = model.attachment ? sequences.map(() => adapter ?? BASE_NAME) : undefined
  const input = { ...packSequences(sequences), ...(adapterNames && { adapterNames }) }
  const hidden = tf.tidy(() => model.forward(input).dataSync())
  let row = 0
  return sequences.map((sequence) => {
    const mean = new Float64Array(width)
    for (const end = row + sequence.length; row < end; row++)
      for (let j = 0; j < width; j++) mean[j]! += hidden[row * width + j]!
    const length = Math.hypot(...mean) || 1
    return Float32Array.from(mean, (value) => value / length)
  })
}

/**
 * OpenAI's embeddings, by mean pooling of a causal model (its last hidden states, after the final norm).
 *
 * @throws {RequestError} 400 for an input that is empty, longer than the model reads, or has ids outside the vocabulary.
 */
export async function embeddings(model: CausalLM, tokenizer: Tokenizer, request: EmbeddingRequest, adapter?: string) {
  const sequences = sequencesOf(tokenizer, request.input)
  const { maxPositionEmbeddings: context, vocabSize } = model.config
  for (const [i, sequence] of sequences.entries()) {
    if (sequence.length === 0) throw badRequest(`Input ${i} has no tokens`, 'invalid_value', 'input')
    if (sequence.length > context)
      throw badRequest(
        `Input ${i} is ${sequence.length} tokens; the model reads ${context}`,
        'context_length_exceeded',
        'input',
      )
    if (sequence.some((id) => id >= vocabSize))
      throw badRequest(`Input ${i} has an id outside the vocabulary of ${vocabSize}`, 'invalid_value', 'input')
  }
  const vectors: Float32Array[] = []
  for (let start = 0; start < sequences.length; ) {
    let [end, tokens] = [start, 0]
    while (end < sequences.length && (end === start || tokens + sequences[end]!.length <= PASS_TOKENS))
      tokens += sequences[end++]!.length
    vectors.push(...meanVectors(model, sequences.slice(start, end), adapter))
    start = end
    await new Promise<void>((resolve) => setImmediate(resolve))
  }
  const tokens = sequences.reduce((sum, { length }) => sum + length, 0)
  const encoded = (vector: Float32Array) =>
    request.encoding_format === 'base64' ? Buffer.from(vector.buffer).toString('base64') : Array.from(vector)
  return {
    object: 'list',
    data: vectors.map((vector, index) => ({ object: 'embedding', index, embedding: encoded(vector) })),
    model: request.model,
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  }
}
