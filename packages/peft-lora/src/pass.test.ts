// One pass per forward: a checkpointed block that runs again computes with the adapters, masks and boundaries it had.
import { selectBackend } from '@tunesmith/backend'
import { beforeAll, describe, expect, it } from 'vitest'
import { BASE_NAME, getPeftModel, type PeftModel } from './index'
import { tinyModel } from './testing'
import { type Gradients, gradientsOf, perturb, SEQUENCES } from './testing/measure'

const NAMES = ['low', 'dora', BASE_NAME]
const MIXTURES = NAMES.flatMap((a) => NAMES.flatMap((b) => NAMES.map((c) => [a, b, c])))

/** A plain LoRA and a DoRA that reaches the embeddings, both away from zero and both active, so that both have gradients. */
function two(): PeftModel {
  const peft = getPeftModel(tinyModel(), { r: 2, loraDropout: 0.3 }, { adapterName: 'low' })
  const targetModules = ['embed_tokens', 'q_proj', 'o_proj', 'down_proj']
  peft.addAdapter('dora', { r: 4, useDora: true, loraDropout: 0.3, targetModules })
  perturb(peft.setAdapter(['low', 'dora']))
  peft.baseChanged()
  return peft
}

function expectSame(found: Gradients, expected: Gradients, tolerance: number, what: string) {
  const scale = Math.max(...[...expected.grads.values()].map((grad) => Math.hypot(...grad)))
  for (const [key, grad] of expected.grads) {
    const difference = Math.hypot(...grad.map((value, i) => value - found.grads.get(key)![i]!))
    expect(difference, `${what}: ${key}`).toBeLessThanOrEqual(tolerance * Math.max(scale, 1e-3))
  }
}

describe.each(['cpu', 'native'] as const)('gradients of batches that name adapters on %s', (backend) => {
  beforeAll(async () => {
    await selectBackend({ backend })
  })

  for (const training of [false, true])
    it(`are the same with checkpointing and offloading, dropout ${training ? 'on' : 'off'}`, () => {
      const peft = two()
      for (const adapterNames of [undefined, ...MIXTURES]) {
        const options = { training, seed: 7, ...(adapterNames && { adapterNames }) }
        const plain = gradientsOf(peft, options)
        const what = String(adapterNames ?? 'stacked')
        const gradientCheckpointing = true
        expectSame(gradientsOf(peft, { ...options, gradientCheckpointing }), plain, 1e-6, what)
        const offloaded = gradientsOf(peft, { ...options, gradientCheckpointing, activationOffloading: true })
        expectSame(offloaded, plain, 1e-6, `${what}, offloaded`)
        // An adapter that no sequence names has no gradient; one that is named has.
        for (const name of ['low', 'dora']) {
          const own = [...plain.grads].filter(([key]) => key.startsWith(`${name}/`)).map(([, g]) => Math.hypot(...g))
          if (!adapterNames || adapterNames.includes(name))
            expect(Math.max(...own), `${what}: ${name}`).toBeGreaterThan(1e-4)
          else expect(Math.max(...own), `${what}: ${name}`).toBe(0)
        }
      }
      peft.unload().dispose()
    })

  it('are those of the adapters of the forward pass, whatever is active in the backward pass', () => {
    const peft = two()
    const plain = gradientsOf(peft.setAdapter('low'), { training: true, seed: 7 })
    for (const between of [() => peft.setAdapter('dora'), () => peft.setAdapter(['dora', 'low'])]) {
      const options = { training: true, seed: 7, gradientCheckpointing: true, between }
      expectSame(gradientsOf(peft.setAdapter('low'), options), plain, 1e-6, String(between))
    }
    peft.unload().dispose()
  })

  it('are those of each sequence alone with its own adapter', async () => {
    const peft = two()
    for (const name of ['low', 'dora'])
      for (const adapterNames of MIXTURES) {
        const mixed = gradientsOf(peft, { adapterNames, gradientCheckpointing: true }).grads
        const alone = SEQUENCES.filter((_, i) => adapterNames[i] === name).map((sequence) => {
          const { grads } = gradientsOf(peft.setAdapter(name), { sequences: [sequence] })
          peft.setAdapter(['low', 'dora'])
          return grads
        })
        for (const [key, grad] of mixed) {
          if (!key.startsWith(`${name}/`)) continue
          const sum = grad.map((_, i) =>
            alone.reduce((total, grads) => total + grads.get(key.slice(name.length + 1))![i]!, 0),
          )
          const difference = Math.hypot(...grad.map((value, i) => value - sum[i]!))
          expect(difference, `${adapterNames}: ${key}`).toBeLessThan(1e-5 * Math.max(1, Math.hypot(...grad)))
        }
      }
    peft.unload().dispose()
  })
})
