import { expect, it } from 'vitest'
import recorded from '../fixtures/gguf-mixes.json' with { type: 'json' }
import { type GgufFileType, type MixModel, matrixTypes } from './mix'

interface Recorded {
  model: MixModel
  columns: Record<string, number>
  files: Record<string, { most: string; others: Record<string, string> }>
}
const layerOf = (name: string) => Number(/^blk\.(\d+)/.exec(name)?.[1] ?? -1)

it.each(Object.entries(recorded as unknown as Record<string, Recorded>))(
  'chooses the types of llama.cpp for the tensors of a model: %s',
  (_, { model, columns, files }) => {
    const matrices = Object.entries(columns)
      .map(([name, columns]) => ({ name, columns }))
      .sort((a, b) => layerOf(a.name) - layerOf(b.name))
    expect(Object.keys(files)).toHaveLength(13)
    for (const [file, { most, others }] of Object.entries(files)) {
      const types = matrixTypes(matrices, file as GgufFileType, model)
      const wanted = matrices.map(({ name }) => `${name} ${others[name] ?? most}`)
      expect([file, matrices.map(({ name }, i) => `${name} ${types[i]}`)]).toEqual([file, wanted])
    }
  },
)
