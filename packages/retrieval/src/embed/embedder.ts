import { invalidData } from '@tunesmith/core'

/** Texts to vectors. An index keeps the name, and refuses another embedder. */
export interface Embedder {
  /** Names the model and all that changes its vectors. */
  readonly name: string
  readonly dimensions: number
  /** Texts in one call. Default 32. */
  readonly batchSize?: number
  /**
   * One vector of `dimensions` numbers per text; any length but 0, they are normalised afterwards.
   *
   * @param kind some models read questions in another way than passages.
   */
  embed(texts: readonly string[], kind: 'passage' | 'question'): Promise<readonly ArrayLike<number>[]>
}

/**
 * Unit vectors of the texts, in batches.
 *
 * @throws {TunesmithError} `invalid_data` when the embedder gives another count or size, or a vector without a direction.
 */
export async function embedTexts(
  embedder: Embedder,
  texts: readonly string[],
  kind: 'passage' | 'question',
): Promise<Float32Array[]> {
  const { batchSize = 32, dimensions, name } = embedder
  const vectors: Float32Array[] = []
  for (let at = 0; at < texts.length; at += batchSize) {
    const batch = texts.slice(at, at + batchSize)
    const made = await embedder.embed(batch, kind)
    if (made.length !== batch.length)
      throw invalidData(`${made.length} vectors came for ${batch.length} texts`, { where: `embedder ${name}` })
    for (const vector of made) vectors.push(unit(vector, dimensions, name))
  }
  return vectors
}

function unit(vector: ArrayLike<number>, dimensions: number, name: string): Float32Array {
  let square = 0
  for (let i = 0; i < vector.length; i++) square += vector[i]! ** 2
  const length = Math.sqrt(square)
  if (vector.length !== dimensions || !(length > 0) || !Number.isFinite(length))
    throw invalidData(
      vector.length === dimensions
        ? `The vector has the length ${length}`
        : `The vector has ${vector.length} dimensions and not ${dimensions}`,
      { where: `embedder ${name}` },
    )
  return Float32Array.from(vector, (value) => value / length)
}
