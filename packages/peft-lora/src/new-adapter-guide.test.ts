import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { loha } from './fixtures/loha'
import { testAdapter } from './testing'

const read = (path: string) => readFileSync(fileURLToPath(new URL(path, import.meta.url)), 'utf8')

it('the guide to a new adapter shows this one, whole, in under 80 lines', () => {
  const guide = '../../../docs/contributing/new-adapter.md'
  expect(existsSync(fileURLToPath(new URL(guide, import.meta.url)))).toBe(true)
  const code = /^```ts\n([\s\S]*?)^```/m.exec(read(guide))?.[1]
  expect(code).toBe(read('./fixtures/loha.ts'))
  expect(code!.split('\n').length).toBeLessThan(80)
  expect(loha.peftType).toBe('LOHA')
})

const layer = 'base_model.model.model.layers.0.self_attn'
testAdapter({
  name: 'LoHa, of the guide',
  config: { peftType: 'LOHA', r: 4, alpha: 8 },
  keys: ['q_proj', 'v_proj'].flatMap((name) =>
    ['w1_a', 'w1_b', 'w2_a', 'w2_b'].map((part) => `${layer}.${name}.hada_${part}`),
  ),
})
