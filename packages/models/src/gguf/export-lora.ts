import { join } from 'node:path'
import { unsupported, writeFileAtomic } from '@tunesmith/core'
import type { Tokenizer } from '@tunesmith/tokenization'
import type { CausalLM } from '../causal-lm'
import { fileTitle } from './export'
import { ggufMatrices, layoutOf } from './model'
import { modelfile } from './modelfile'
import { f32, type GgufValue, string } from './values'
import { type GgufTensor, writeGguf } from './write'

/** The update of one module: `scaling * b @ a`, a `[r, in]` and b `[out, r]`. */
export interface LowRankUpdate {
  /** The module's name, such as `model.layers.0.self_attn.q_proj`. */
  module: string
  r: number
  scaling: number
  a: Float32Array
  b: Float32Array
}

export interface ExportGgufLoraOptions {
  /** The adapter's name in the file, and the file's. Default `adapter`. */
  name?: string | undefined
  /** What the Modelfile builds on: a GGUF file beside it, or a model that Ollama knows. */
  base: string
}

export interface ExportedGgufLora {
  file: string
  modelfile: string
}

/**
 * Writes low-rank updates as an adapter file of llama.cpp, in float32, and a Modelfile that puts it on a base.
 *
 * llama.cpp scales every update by `alpha / r`. Where that is not a module's scaling (rank-stabilised, or with patterns), its B takes the rest.
 *
 * @param folder where `NAME.lora.gguf` and `Modelfile` go.
 * @throws {TunesmithError} `unsupported` for a family or a module that llama.cpp does not have.
 */
export async function exportGgufLora(
  model: CausalLM,
  updates: readonly LowRankUpdate[],
  tokenizer: Tokenizer,
  folder: string,
  { name = 'adapter', base }: ExportGgufLoraOptions,
): Promise<ExportedGgufLora> {
  const layout = layoutOf(model)
  const { nameOf, adapt } = ggufMatrices(model, layout)
  const [first] = updates
  if (!first) throw unsupported('The adapter changes no module', { where: 'exportGgufLora' })
  const alpha = first.scaling * first.r
  const metadata = new Map<string, GgufValue>([
    ['general.architecture', string(layout.architecture)],
    ['general.type', string('adapter')],
    ['general.name', string(name)],
    ['adapter.type', string('lora')],
    ['adapter.lora.alpha', f32(alpha)],
  ])
  const tensors = updates.flatMap(({ module, r, scaling, a, b }): GgufTensor[] => {
    const at = `${nameOf(module)}.weight`
    const rest = (scaling * r) / alpha
    const scaled = Math.abs(rest - 1) < 1e-9 ? b : b.map((value) => value * rest)
    const rows = b.length / r
    return [
      { name: `${at}.lora_a`, type: 'f32', shape: [r, a.length / r], values: () => [a] },
      { name: `${at}.lora_b`, type: 'f32', shape: [rows, r], values: () => [adapt(module, scaled, r)] },
    ]
  })
  const file = `${fileTitle(name)}.lora.gguf`
  await writeGguf(join(folder, file), metadata, tensors)
  const text = modelfile({ from: base, adapter: `./${file}` }, tokenizer, model.generation)
  await writeFileAtomic(join(folder, 'Modelfile'), text)
  return { file: join(folder, file), modelfile: join(folder, 'Modelfile') }
}
