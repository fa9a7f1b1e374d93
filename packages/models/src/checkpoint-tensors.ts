import { incompatible } from '@tunesmith/core'
import { type TensorReader, tensorMismatches } from '@tunesmith/hub'
import { architectureOf } from './architectures'
import { buildModules } from './build-modules'
import type { ModelConfig } from './model-config'
import type { QuantizedEntry } from './quantized'
import type { WeightSource } from './weight-source'

/** The tensors a model of this configuration needs with their shapes, found by building it out of nothing. */
export function tensorShapes(config: ModelConfig): Map<string, number[]> {
  const shapes = new Map<string, number[]>()
  const recorder: WeightSource = {
    matrix(name, outFeatures, inFeatures) {
      shapes.set(name, [outFeatures, inFeatures])
      return { format: 'f32', outFeatures, inFeatures, weight: undefined as never }
    },
    stack(name, [count, outFeatures, inFeatures]) {
      shapes.set(name, [count, outFeatures, inFeatures])
      return Array.from({ length: count }, () => ({
        format: 'f32' as const,
        outFeatures,
        inFeatures,
        weight: undefined as never,
      }))
    },
    vector(name, size) {
      shapes.set(name, [size])
      return undefined as never
    },
  }
  buildModules(config, recorder)
  return shapes
}

/** Tensors that are quantized in no checkpoint, though they are matrices: routers of experts. */
export function unquantizedTensors(config: ModelConfig): Set<string> {
  const { linears } = architectureOf(config.modelType)
  const names = config.layers.flatMap((layer) =>
    Object.entries(linears(config, layer)).flatMap(([name, { isParameter }]) =>
      isParameter ? [`${config.names.layers}.${layer.index}.${name}.weight`] : [],
    ),
  )
  return new Set(names)
}

/** @throws {TunesmithError} `incompatible` for more layers than the checkpoint has tensors, before anything is made of them. */
export function checkLayerCount({ numHiddenLayers }: ModelConfig, checkpoint: TensorReader, folder: string): void {
  if (numHiddenLayers <= checkpoint.tensors.size) return
  throw incompatible(
    `config.json says ${numHiddenLayers} layers, and the checkpoint has ${checkpoint.tensors.size} tensors in all`,
    { where: folder, remedy: 'Check that config.json and the weights belong to the same model' },
  )
}

/** Tensors that older checkpoints carry and no model reads. */
const IGNORED = [/rotary_emb\.inv_freq$/, /\.attn\.(masked_)?bias$/, /\.attention\.(masked_)?bias$/]

/** @throws {TunesmithError} `incompatible` naming every tensor that is missing, left over or of another shape. */
export function checkTensors(
  expected: ReadonlyMap<string, number[]>,
  checkpoint: TensorReader,
  quantized: ReadonlyMap<string, QuantizedEntry>,
  config: ModelConfig,
  folder: string,
): void {
  const parts = new Set([...quantized.values()].flatMap((entry) => entry.parts))
  const found = new Map<string, readonly number[]>()
  for (const [name, { shape }] of checkpoint.tensors) found.set(name, quantized.get(name)?.shape ?? shape)
  const problems = tensorMismatches({
    expected,
    found,
    ignore: (name) =>
      parts.has(name) ||
      IGNORED.some((pattern) => pattern.test(name)) ||
      (config.tieWordEmbeddings && name === `${config.names.head}.weight`),
  })
  if (problems.length === 0) return
  throw incompatible(`The weights do not fit the configuration; ${problems.join('; ')}`, {
    where: folder,
    remedy: 'Check that config.json and the weights belong to the same model',
  })
}
