import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as tf from '@tensorflow/tfjs-core'
import { adamWStep, dequantize, selectBackend } from '@tunesmith/backend'
import { Random } from '@tunesmith/core'
import { generate } from '@tunesmith/models'
import { beforeAll, describe, expect, it } from 'vitest'
import type { PeftConfigOptions } from '../config-types'
import { loadAdapter, loadPeftModel, savePeftModel } from '../files'
import { getPeftModel, type PeftModel } from '../peft-model'
import { gradientsOf, largestDifference, logitsOf, lossOf, perturb, SEQUENCES, slope } from './measure'
import { type TinyModelOptions, tinyModel } from './tiny-model'

export interface TestAdapterOptions {
  /** Names the group of tests. */
  name: string
  /** The adapter's options, for the tiny model of {@link tinyModel}. */
  config: PeftConfigOptions
  /** Keys of the file that stand for all: those of the first decoder layer, or of what belongs to no module. */
  keys: readonly string[]
  /** Whether it can be folded into the weights. Default true. */
  mergeable?: boolean
  /** Whether an untrained adapter changes nothing. Default true; prompt tuning does change the output. */
  startsAsBase?: boolean
  /** Whether the untrained adapter leaves the base weights as they are. Default true; PiSSA does not. */
  keepsBase?: boolean
  /**
   * Parameters whose gradient is by definition another one than that of the loss (DoRA's A and B, because the norm is
   * taken for a constant); finite differences skip them. Default none.
   */
  inexactGradients?: RegExp
  /** All its keys, in order, when it comes back from a file with others than it was trained with. */
  keysAfterLoading?: readonly string[]
  /** Bases it works on beside float32. Default `nf4` and `int8`. */
  quantized?: readonly ('nf4' | 'int8')[]
  /** Another tiny model. */
  model?: TinyModelOptions
}

/**
 * The conformance suite of adapters: registers one `describe` of vitest that puts an implementation through
 * everything the rest of the library relies on. Call it at the top level of a test file.
 */
export function testAdapter(options: TestAdapterOptions): void {
  const { name, config, keys, mergeable = true, startsAsBase = true, keepsBase = true } = options
  const { quantized = ['nf4', 'int8'] } = options

  const fresh = (more: TinyModelOptions = {}) => tinyModel({ ...options.model, ...more })
  const adapted = (more: TinyModelOptions = {}): PeftModel => {
    const peft = getPeftModel(fresh(more), config)
    perturb(peft)
    peft.baseChanged()
    return peft
  }
  const release = (peft: PeftModel) => peft.unload().dispose()
  const expectClose = (a: ArrayLike<number>, b: ArrayLike<number>, tolerance: number) =>
    expect(largestDifference(a, b)).toBeLessThan(tolerance)

  describe(`adapter ${name}`, () => {
    beforeAll(async () => {
      await selectBackend()
    })

    it('has the keys it is known by', () => {
      const peft = adapted()
      expect([...peft.parameters().keys()]).toEqual(expect.arrayContaining([...keys]))
      const first = [...peft.parameters().keys()].filter((key) => !/\.layers\.[1-9]/.test(key))
      expect(first.filter((key) => !keys.includes(key))).toEqual([])
      release(peft)
    })

    it('changes nothing before training', () => {
      const model = fresh()
      const base = logitsOf(model)
      const peft = getPeftModel(model, config)
      const before = logitsOf(model)
      if (startsAsBase) expectClose(before, base, 2e-4)
      else expect(before.every(Number.isFinite)).toBe(true)
      perturb(peft)
      peft.baseChanged()
      expect(largestDifference(logitsOf(model), base)).toBeGreaterThan(1e-3)
      release(peft)
    })

    it('switched off or taken off, leaves the base model', async () => {
      const model = fresh()
      const base = logitsOf(model)
      const peft = getPeftModel(model, config)
      perturb(peft)
      const off = await peft.withoutAdapter(() => logitsOf(model))
      if (keepsBase) expect(off).toEqual(base)
      expect(logitsOf(model)).not.toEqual(base)
      peft.unload()
      if (keepsBase) expect(logitsOf(model)).toEqual(base)
      else expectClose(logitsOf(model), base, 5e-4)
      expect(model.attachment).toBeUndefined()
      model.dispose()
    })

    it('comes back from a file number for number', async () => {
      const folder = await mkdtemp(join(tmpdir(), 'tunesmith-adapter-'))
      try {
        const peft = adapted()
        await savePeftModel(peft, folder)
        const again = await loadPeftModel(fresh(), folder)
        const { targetModules: _, ...rest } = peft.config // saved as what it stood for
        expect(again.config).toMatchObject(rest)
        expect(logitsOf(again.model)).toEqual(logitsOf(peft.model))
        expect([...again.parameters().keys()]).toEqual(options.keysAfterLoading ?? [...peft.parameters().keys()])
        // Beside another one, under another name.
        await loadAdapter(again, folder, 'second')
        again.setAdapter('second')
        if (keepsBase) expect(logitsOf(again.model)).toEqual(logitsOf(peft.model))
        release(peft)
        release(again)
      } finally {
        await rm(folder, { recursive: true })
      }
    })

    it('has the gradients that finite differences give', () => {
      const peft = adapted()
      const { grads } = gradientsOf(peft)
      const norms = [...grads.values()].map((grad) => Math.hypot(...grad))
      const largest = Math.max(...norms)
      expect(largest).toBeGreaterThan(1e-4)
      for (const [key, variable] of peft.parameters()) {
        if (options.inexactGradients?.test(key)) continue
        const grad = grads.get(key)!
        const size = Math.hypot(...grad)
        // Along the gradient itself, bent a little, so that the slope is large against rounding.
        const random = new Random(11, key)
        const bend = Float32Array.from(grad, () => random.normal() / Math.sqrt(grad.length))
        const raw = grad.map((value, i) => (size > 0 ? value / size : 0) + 0.3 * bend[i]!)
        const length = Math.hypot(...raw)
        const direction = raw.map((value) => value / length)
        const expected = direction.reduce((sum, value, i) => sum + value * grad[i]!, 0)
        const found = slope(peft, variable, direction, 0.02 / Math.max(1, Math.abs(expected)))
        expect(Math.abs(found - expected), key).toBeLessThan(2e-3 * Math.abs(expected) + 3e-5)
      }
      release(peft)
    })

    it('learns, and leaves no tensors behind', () => {
      const peft = getPeftModel(fresh(), config)
      const parameters = peft.parameters()
      const zeros = (like: tf.Tensor) => tf.tidy(() => tf.variable(tf.zerosLike(like), false))
      const moments = new Map([...parameters].map(([key, v]) => [key, [zeros(v), zeros(v)] as const]))
      const frozen = [...peft.model.linears].filter(([, { weight }]) => !(weight.weight instanceof tf.Variable))
      const base = new Map(frozen.map(([key, { weight }]) => [key, weight]))
      const before = new Map(
        [...base].map(([key, weight]) => [key, tf.tidy(() => dequantize(weight).dataSync().slice())]),
      )
      const first = lossOf(peft.model)
      const counts: number[] = []
      for (let step = 1; step <= 25; step++) {
        const { grads } = gradientsOf(peft, { training: true, seed: step })
        const tensors = new Map([...grads].map(([key, grad]) => [key, tf.tensor(grad, parameters.get(key)!.shape)]))
        for (const [key, variable] of parameters) {
          const [expAvg, expAvgSq] = moments.get(key)!
          const state = { lr: 0.02, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0, step, gradScale: 1 }
          adamWStep(variable, tensors.get(key)!, expAvg as never, expAvgSq as never, state)
        }
        peft.afterOptimizerStep(step, 25, tensors)
        tf.dispose([...tensors.values()])
        counts.push(tf.memory().numTensors)
      }
      expect(counts.at(-1)).toBe(counts[2])
      expect(lossOf(peft.model)).toBeLessThan(first * 0.9)
      // What is not trained is as it was.
      for (const [key, weight] of base) expect(tf.tidy(() => dequantize(weight).dataSync())).toEqual(before.get(key))
      tf.dispose([...moments.values()].flat() as tf.Tensor[])
      release(peft)
    })

    it('has the same gradients with checkpointing, and in batches with fewer sequences', () => {
      const peft = adapted()
      const plain = gradientsOf(peft)
      const checkpointed = gradientsOf(peft, { gradientCheckpointing: true })
      const apart = SEQUENCES.map((sequence) => gradientsOf(peft, { sequences: [sequence] }))
      const scale = Math.max(...[...plain.grads.values()].map((grad) => Math.hypot(...grad)))
      for (const [key, grad] of plain.grads) {
        expectClose(checkpointed.grads.get(key)!, grad, 1e-6 * scale)
        const sum = grad.map((_, i) => apart.reduce((total, { grads }) => total + grads.get(key)![i]!, 0))
        expectClose(sum, grad, 1e-5 * scale)
      }
      release(peft)
    })

    it('generates with a cache what it gives without', async () => {
      const peft = adapted()
      const [made] = await generate(peft.model, [SEQUENCES[0]!], { maxNewTokens: 5, stopTokenIds: [] })
      const text = [...SEQUENCES[0]!]
      for (const token of made!) {
        const logits = logitsOf(peft.model, [text]).slice(-peft.model.config.vocabSize)
        const best = Math.max(...logits)
        expect(logits[token]).toBeGreaterThan(best - 1e-4)
        text.push(token)
      }
      release(peft)
    })

    for (const format of quantized)
      it(`works on ${format} weights`, async () => {
        const model = fresh({ format })
        const base = logitsOf(model)
        const peft = getPeftModel(model, config)
        if (startsAsBase) expectClose(logitsOf(model), base, keepsBase ? 2e-4 : 5)
        perturb(peft)
        peft.baseChanged()
        const norms = [...gradientsOf(peft).grads.values()].map((grad) => Math.hypot(...grad))
        expect(norms.every((norm) => Number.isFinite(norm))).toBe(true)
        expect(Math.max(...norms)).toBeGreaterThan(1e-4)
        if (keepsBase) expect(await peft.withoutAdapter(() => logitsOf(model))).toEqual(base)
        if (mergeable) {
          const unmerged = logitsOf(model)
          peft.merge({ weights: 'float32' })
          expectClose(logitsOf(model), unmerged, 2e-4)
          peft.unmerge()
          expect(logitsOf(model)).toEqual(unmerged)
        }
        release(peft)
      })

    it(mergeable ? 'merged gives what it gave, and unmerged again' : 'says that it cannot be merged', () => {
      const peft = adapted()
      const unmerged = logitsOf(peft.model)
      if (!mergeable) {
        expect(() => peft.merge()).toThrow('cannot be merged')
        expect(logitsOf(peft.model)).toEqual(unmerged)
        release(peft)
        return
      }
      peft.merge()
      expectClose(logitsOf(peft.model), unmerged, 2e-4)
      peft.unmerge()
      expect(logitsOf(peft.model)).toEqual(unmerged)
      const merged = peft.mergeAndUnload()
      expectClose(logitsOf(merged), unmerged, 2e-4)
      expect([...merged.linears.values()].every(({ override }) => override === undefined)).toBe(true)
      merged.dispose()
    })

    it('lives beside others of its kind', () => {
      const peft = adapted()
      const alone = logitsOf(peft.model)
      peft.addAdapter('second', config, { seed: 9 })
      if (keepsBase) expect(logitsOf(peft.model)).toEqual(alone)
      peft.setAdapter('second')
      perturb(peft, 0.1, 17)
      peft.baseChanged()
      const second = logitsOf(peft.model)
      peft.setAdapter('default')
      const first = logitsOf(peft.model)
      expect(largestDifference(first, second)).toBeGreaterThan(1e-3)
      const mixable = !peft.adapter().shared?.virtualTokens && peft.adapter().copies.length === 0
      const names = ['second', '__base__', 'default']
      if (mixable && !peft.adapter().layers.has(peft.model.lmHead)) {
        const mixed = logitsOf(peft.model, SEQUENCES, names)
        const rows = SEQUENCES.map(({ length }) => length * peft.model.config.vocabSize)
        expectClose(mixed.subarray(0, rows[0]), second.subarray(0, rows[0]), 2e-4)
        expectClose(mixed.subarray(rows[0]! + rows[1]!), first.subarray(rows[0]! + rows[1]!), 2e-4)
      } else expect(() => logitsOf(peft.model, SEQUENCES, names)).toThrow('mixes adapters')
      if (!peft.adapter().shared?.virtualTokens) {
        peft.setAdapter(['default', 'second'])
        const both = logitsOf(peft.model)
        expect(largestDifference(both, first)).toBeGreaterThan(1e-4)
        peft.setAdapter('default')
      }
      peft.renameAdapter('second', 'other').deleteAdapter('other')
      expect(peft.adapterNames).toEqual(['default'])
      if (keepsBase) expect(logitsOf(peft.model)).toEqual(alone)
      release(peft)
    })
  })
}
