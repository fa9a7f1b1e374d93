import { invalidOptions } from '@tunesmith/core'
import type { Embedder } from './embedder'
import { type OnnxOptions, onnxEmbedder } from './onnx'
import { sentenceEncoder } from './sentence-encoder'

/** What {@link onnxEmbedder} calls itself, and the model alone. */
const ONNX = /^onnx:(.+?)(?: \((mean|cls|last_token), (\w+)(?:, (\{.*\}))?\))?$/

/**
 * An embedder by the name that an index keeps, or `onnx:MODEL`: those that need nothing but their name.
 *
 * @throws {TunesmithError} `invalid_options` for another name; `not_found` when its package or model is not there.
 */
export async function embedderNamed(name: string): Promise<Embedder> {
  if (name === 'sentence-encoder') return sentenceEncoder()
  const [, model, pooling, dtype, prefixes] = ONNX.exec(name) ?? []
  if (model === undefined)
    throw invalidOptions(`There is no embedder that is made from the name "${name}" alone`, {
      remedy: 'Use sentence-encoder or onnx:MODEL; make others in a program and give them to openIndex',
    })
  return onnxEmbedder(model, {
    ...(pooling && { pooling: pooling as NonNullable<OnnxOptions['pooling']> }),
    ...(dtype && { dtype }),
    ...(prefixes && { prefixes: JSON.parse(prefixes) }),
  })
}
