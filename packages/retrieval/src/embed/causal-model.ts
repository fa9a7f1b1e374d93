import type { Reranker } from '../search/search'
import type { Embedder } from './embedder'

interface Tensor {
  shape: number[]
  data(): Promise<ArrayLike<number>>
  dispose(): void
}
interface ModelInput {
  inputIds: ArrayLike<number>
  positions: ArrayLike<number>
  cuSeqlens: ArrayLike<number>
}

/** Of a `CausalLM` of `@tunesmith/models`, what is used here, so that this package needs no tensor library. */
export interface LanguageModel {
  readonly nameOrPath?: string | undefined
  readonly config: { hiddenSize: number; maxPositionEmbeddings: number }
  forward(input: ModelInput): Tensor
  tokenLogProbs(input: ModelInput, labels: ArrayLike<number>): { logProbs: Tensor }
}

/** Of a `Tokenizer` of `@tunesmith/tokenization`, what is used here. */
export interface TextTokenizer {
  encode(text: string): { ids: ArrayLike<number> }
}

/** Sequences end to end, without padding. */
function pack(sequences: readonly (readonly number[])[]): ModelInput {
  const cuSeqlens = [0]
  for (const ids of sequences) cuSeqlens.push(cuSeqlens.at(-1)! + ids.length)
  return {
    inputIds: Int32Array.from(sequences.flat()),
    positions: Int32Array.from(sequences.flatMap((ids) => ids.map((_, i) => i))),
    cuSeqlens: Int32Array.from(cuSeqlens),
  }
}

/** The mean of the last hidden states of a causal model. Without training for it, its vectors say less than an embedding model's. */
export function modelEmbedder(
  model: LanguageModel,
  tokenizer: TextTokenizer,
  name = model.nameOrPath ?? 'model',
): Embedder {
  const { hiddenSize, maxPositionEmbeddings } = model.config
  return {
    name: `model:${name}`,
    dimensions: hiddenSize,
    batchSize: 16,
    async embed(texts) {
      const sequences = texts.map((text) =>
        Array.from(tokenizer.encode(text || ' ').ids).slice(0, maxPositionEmbeddings),
      )
      const hidden = model.forward(pack(sequences))
      const data = await hidden.data()
      hidden.dispose()
      let row = 0
      return sequences.map((ids) => {
        const mean = new Float64Array(hiddenSize)
        for (const end = row + ids.length; row < end; row++)
          for (let j = 0; j < hiddenSize; j++) mean[j]! += data[row * hiddenSize + j]! / ids.length
        return mean
      })
    },
  }
}

/** Scores a passage by the mean log-probability that the model gives to the question behind it (D. Sachan et al. 2022). */
export function likelihoodReranker(model: LanguageModel, tokenizer: TextTokenizer): Reranker {
  const longest = model.config.maxPositionEmbeddings
  return async (question, texts) => {
    const asked = Array.from(tokenizer.encode(`\nQuestion: ${question}`).ids)
    const scores: number[] = []
    for (const text of texts) {
      const passage = Array.from(tokenizer.encode(text).ids).slice(0, Math.max(1, longest - asked.length))
      const ids = [...passage, ...asked].slice(0, longest)
      // The label of a token is the token behind it; only those of the question count.
      const labels = ids.map((_, i) => (i + 1 >= passage.length && i + 1 < ids.length ? ids[i + 1]! : -100))
      const { logProbs, ...others } = model.tokenLogProbs(pack([ids]), labels)
      const values = await logProbs.data()
      for (const tensor of [logProbs, ...Object.values(others)]) (tensor as Partial<Tensor>).dispose?.()
      let sum = 0
      let count = 0
      labels.forEach((label, i) => {
        if (label === -100) return
        sum += values[i]!
        count++
      })
      scores.push(sum / Math.max(1, count))
    }
    return scores
  }
}
