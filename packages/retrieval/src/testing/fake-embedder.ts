import type { Embedder } from '../embed/embedder'
import { createAnalyser } from '../text/analyse'

const analyse = createAnalyser()

/** Hashed bags of words: the same text, the same vector, and texts that share words are near. */
export function hashEmbedder(dimensions = 32, name = `hash-${dimensions}`): Embedder {
  return {
    name,
    dimensions,
    async embed(texts) {
      return texts.map((text) => {
        const vector = new Float32Array(dimensions).fill(1e-3)
        for (const word of analyse(text)) {
          let hash = 2166136261
          for (let i = 0; i < word.length; i++) hash = Math.imul(hash ^ word.charCodeAt(i), 16777619)
          vector[(hash >>> 0) % dimensions]! += 1
        }
        return vector
      })
    },
  }
}
