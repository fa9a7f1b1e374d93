import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as tf from '@tensorflow/tfjs-core'
import { type BackendName, selectBackend } from '@tunesmith/backend'
import { openSafetensors, writeSafetensors } from '@tunesmith/hub'
import { sharedPath, sharedTensors } from '@tunesmith/tooling/shared'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createOptimizer, OPTIMIZERS, type Optimizer, type OptimizerName, parameterGroups } from './index'

interface Case {
  name: OptimizerName
  options: { beta1?: number; beta2?: number; eps?: number; weight_decay?: number }
  args: Record<string, unknown>
  steps: Record<string, Record<string, number[]>>
}
const read = (name: string) => JSON.parse(readFileSync(new URL(`./fixtures/${name}`, import.meta.url), 'utf8'))
const {
  lr: LR,
  gradScale,
  shapes,
  cases,
} = read('optimizers.json') as {
  lr: number
  gradScale: number
  shapes: Record<string, number[]>
  cases: Case[]
}
const NAMES = Object.keys(shapes)

/** As in scripts/make_optimizers.py. */
function values(shape: number[], salt: number, spread: number): tf.Tensor {
  const value = (i: number) => Math.sin(12.9898 * (i + 1) + 78.233 * salt) * 10 ** -(i % spread)
  return tf.tensor(
    Float32Array.from({ length: tf.util.sizeFromShape(shape) }, (_, i) => value(i)),
    shape,
  )
}

const gradients = (step: number) =>
  new Map(NAMES.map((name, i) => [name, tf.mul(values(shapes[name]!, 10 * step + i, 4), step === 3 ? 0 : 1)]))

function create(
  { name, options, args }: Pick<Case, 'name' | 'options' | 'args'>,
  parameters: Map<string, tf.Variable>,
) {
  const weightDecay = options.weight_decay ?? 0
  const part = (...names: string[]) => new Map(names.map((key) => [key, parameters.get(key)!]))
  const groups = [
    { parameters: part('vector', 'cube'), lrScale: 1, weightDecay },
    { parameters: part('matrix'), lrScale: 4, weightDecay },
  ]
  return createOptimizer(name, groups, { beta1: 0.9, beta2: 0.999, eps: 1e-8, ...options, args })
}

const firstValues = () =>
  new Map(NAMES.map((name, i) => [name, tf.tidy(() => tf.variable(values(shapes[name]!, i, 2)))]))

function step(optimizer: Optimizer, number: number): void {
  tf.tidy(() => optimizer.step(gradients(number), LR * (1 - number / 40), gradScale))
}

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tunesmith-'))
})
afterAll(() => rm(folder, { recursive: true }))

/** Through a file, as a checkpoint does it. */
async function saveAndLoad(from: Optimizer, to: Optimizer): Promise<void> {
  const path = join(folder, 'optimizer.safetensors')
  await writeSafetensors(path, from.tensors())
  const file = await openSafetensors(path)
  await to.load(JSON.parse(JSON.stringify(from.scalars())), file)
  await file.close()
}

const snapshot = (parameters: Map<string, tf.Variable>) =>
  [...parameters.values()].map((variable) => Array.from(variable.dataSync()))

for (const backend of ['native', 'cpu'] satisfies BackendName[])
  describe(`on ${backend}`, () => {
    beforeAll(async () => {
      await selectBackend({ backend })
    })

    for (const golden of cases) {
      const { name, options, args, steps } = golden
      it(`${name} ${JSON.stringify({ ...options, ...args })}: 25 steps as torch or transformers make them`, () => {
        const before = tf.memory().numTensors
        const parameters = firstValues()
        const optimizer = create(golden, parameters)
        let held = 0
        for (let number = 1; number <= 25; number++) {
          step(optimizer, number)
          if (number === 1) held = tf.memory().numTensors
          for (const [key, want] of Object.entries(steps[number] ?? {})) {
            const got = parameters.get(key)!.dataSync()
            want.forEach((value, i) => {
              expect(Math.abs(got[i]! - value), `${key}[${i}] at step ${number}`).toBeLessThan(
                1e-6 * Math.max(1, Math.abs(value)),
              )
            })
          }
        }
        expect(tf.memory().numTensors).toBe(held)
        optimizer.dispose()
        tf.dispose([...parameters.values()])
        expect(tf.memory().numTensors).toBe(before)
      })
    }

    it('scales gradients, and keeps nothing of them', () => {
      for (const golden of cases) {
        const [scaled, plain] = [firstValues(), firstValues()]
        const optimizers = [create(golden, scaled), create(golden, plain)] as const
        for (let number = 1; number <= 4; number++) {
          const grads = gradients(number)
          const halves = new Map([...grads].map(([key, grad]) => [key, tf.mul(grad, 0.5)]))
          optimizers[0].step(grads, LR, 0.5)
          optimizers[1].step(halves, LR, 1)
          tf.dispose([...grads.values(), ...halves.values()])
        }
        expect(snapshot(plain)).toEqual(snapshot(scaled))
        for (const optimizer of optimizers) optimizer.dispose()
        tf.dispose([...scaled.values(), ...plain.values()])
      }
    })

    it('goes on from a saved state bit for bit', async () => {
      for (const golden of cases) {
        const [whole, parts] = [firstValues(), firstValues()]
        const [straight, first] = [create(golden, whole), create(golden, parts)]
        for (let number = 1; number <= 8; number++) step(straight, number)
        for (let number = 1; number <= 5; number++) step(first, number)
        const second = create(golden, parts)
        await saveAndLoad(first, second)
        for (let number = 6; number <= 8; number++) step(second, number)
        expect(snapshot(parts)).toEqual(snapshot(whole))
        for (const optimizer of [straight, first, second]) optimizer.dispose()
        tf.dispose([...whole.values(), ...parts.values()])
      }
    })
  })

describe('AdamW with 8-bit moments', () => {
  const settings = sharedPath('goldens/adamw8bit.json')
  const golden = sharedTensors('goldens/adamw8bit.safetensors')
  if (!golden) console.warn('skipped: 20 steps of bitsandbytes, there are no shared goldens')
  const shape = [65, 71]

  it.skipIf(!golden).each(['a', 'b'])('20 steps of bitsandbytes, large and small parameters, run %s', async (run) => {
    await selectBackend()
    const { runs } = JSON.parse(readFileSync(settings!, 'utf8'))
    const { lr, betas, eps, weight_decay: weightDecay } = runs.find(({ name }: { name: string }) => name === run)
    const sizes = { p0: shape, p1: [30, 40] }
    const parameters = new Map(
      Object.entries(sizes).map(([key, size]) => [
        key,
        tf.tidy(() => tf.variable(tf.tensor(golden!<Float32Array>(`init.${key}`), size))),
      ]),
    )
    const options = { beta1: betas[0], beta2: betas[1], eps, args: {} }
    const create = () => createOptimizer('adamw_8bit', [{ parameters, lrScale: 1, weightDecay }], options)
    let optimizer = create()
    expect(optimizer.bytes()).toBe(2 * (4615 + 4 * 19) + 8 * 1200)
    for (let number = 1; number <= 20; number++) {
      const grad = (key: 'p0' | 'p1') => {
        const size = tf.util.sizeFromShape(sizes[key])
        const all = golden!<Float32Array>(`grads.${key}`)
        return tf.tensor(all.slice((number - 1) * size, number * size), sizes[key])
      }
      tf.tidy(() =>
        optimizer.step(
          new Map([
            ['p0', grad('p0')],
            ['p1', grad('p1')],
          ]),
          lr,
          1,
        ),
      )
      if (number === 7) {
        // A resume in between changes nothing.
        const resumed = create()
        await saveAndLoad(optimizer, resumed)
        optimizer.dispose()
        optimizer = resumed
      }
      if (![1, 2, 5, 10, 20].includes(number)) continue
      for (const [key, parameter] of parameters) {
        const [got, want] = [parameter.dataSync(), golden!<Float32Array>(`${run}.adamw8bit.step${number}.${key}`)]
        expect(want.reduce((worst, x, i) => Math.max(worst, Math.abs(x - got[i]!)), 0)).toBeLessThan(1e-6)
      }
    }
    for (const { name, dtype, data } of optimizer.tensors()) {
      if (dtype !== 'U8') continue
      const bytes = typeof data === 'function' ? await data() : data
      expect(bytes).toEqual(golden!<Uint8Array>(`${run}.adamw8bit.step20.${name}`))
    }
    optimizer.dispose()
    tf.dispose([...parameters.values()])
  })

  it('keeps the moments of embedding weights in 32 bits, as transformers asks for', () => {
    const names = ['model.embed_tokens.weight', 'model.layers.0.mlp.up_proj.weight']
    const parameters = new Map(names.map((name) => [name, tf.tidy(() => tf.variable(tf.zeros(shape)))]))
    const groups = [{ parameters, lrScale: 1, weightDecay: 0 }]
    const optimizer = createOptimizer('adamw_8bit', groups, { beta1: 0.9, beta2: 0.999, eps: 1e-8, args: {} })
    expect(optimizer.bytes()).toBe(8 * 4615 + 2 * (4615 + 4 * 19))
    tf.dispose([...parameters.values()])
  })
})

describe('createOptimizer', () => {
  const groups = [{ parameters: new Map<string, tf.Variable>(), lrScale: 1, weightDecay: 0 }]
  const options = { beta1: 0.9, beta2: 0.999, eps: 1e-8 }

  it('knows the names, and their aliases give the same numbers', () => {
    expect(OPTIMIZERS).toContain('paged_adamw_8bit')
    const results = (['adamw', 'adamw_torch', 'paged_adamw_32bit'] as const).map((name) => {
      const parameters = firstValues()
      const optimizer = create({ name, options: {}, args: {} }, parameters)
      step(optimizer, 1)
      return snapshot(parameters)
    })
    expect(results[1]).toEqual(results[0])
    expect(results[2]).toEqual(results[0])
  })

  it('tells the backend which tensors are states, and which of them may leave the device', async () => {
    const marks = new Map<object, boolean>()
    const kernelName = 'TunesmithOptimizerState'
    const backendName = tf.getBackend()
    const kernelFunc: tf.KernelFunc = ({ inputs, attrs }) => {
      const { x } = inputs as { x: tf.TensorInfo }
      expect(marks.has(x.dataId)).toBe(false)
      marks.set(x.dataId, (attrs as unknown as { pageable: boolean }).pageable)
      return []
    }
    tf.registerKernel({ kernelName, backendName, kernelFunc })
    try {
      for (const [name, pageable] of [
        ['adamw', false],
        ['sgd', false],
        ['paged_adamw_32bit', true],
        ['paged_adamw_8bit', true],
        ['paged_lion_32bit', true],
      ] as const) {
        const args = name === 'sgd' ? { momentum: 0.9 } : {}
        const parameters = firstValues()
        const registered = () => Object.values(tf.engine().registeredVariables)
        const others = new Set(registered())
        // After every update, all that is kept is marked: some updates write into it, others assign it anew.
        const check = (optimizers: number) => {
          const states = registered().filter((variable) => !others.has(variable))
          expect(states.length).toBeGreaterThanOrEqual(3 * optimizers)
          for (const { dataId } of states) expect(marks.get(dataId), name).toBe(pageable)
        }
        const [optimizer, resumed] = [1, 2].map(() => create({ name, options: {}, args }, parameters)) as [
          Optimizer,
          Optimizer,
        ]
        for (let number = 1; number <= 2; number++) {
          step(optimizer, number)
          check(1)
        }
        await saveAndLoad(optimizer, resumed)
        check(2)
        for (const each of [optimizer, resumed]) each.dispose()
        tf.dispose([...parameters.values()])
      }
    } finally {
      tf.unregisterKernel(kernelName, backendName)
    }
  })

  it('checks the arguments', () => {
    const make = (name: OptimizerName, args: Record<string, unknown>) =>
      createOptimizer(name, groups, { ...options, args })
    expect(() => make('sgd', { momentun: 0.9 })).toThrow('did you mean "momentum"')
    expect(() => make('sgd', { nesterov: true })).toThrow('nesterov needs a momentum')
    expect(() => make('adafactor', { warmup_init: true })).toThrow('warmupInit needs relativeStep')
    expect(() => make('adamw', { momentum: 0.9 })).toThrow('momentum')
  })

  it('names what a saved state lacks', async () => {
    const parameters = firstValues()
    const plain = create({ name: 'sgd', options: {}, args: { momentum: 0.9 } }, parameters)
    step(plain, 1)
    const other = create({ name: 'adamw', options: {}, args: {} }, parameters)
    await expect(saveAndLoad(plain, other)).rejects.toMatchObject({
      code: 'incompatible',
      message: expect.stringContaining('vector.exp_avg'),
    })
  })
})

describe('parameterGroups', () => {
  const variable = (shape: number[]) => tf.tidy(() => tf.variable(tf.zeros(shape)))
  const flat = (groups: ReturnType<typeof parameterGroups>) =>
    groups.flatMap(({ parameters, ...settings }) => [...parameters.keys()].map((name) => ({ name, ...settings })))

  it('leaves norms and biases without decay', () => {
    const names = [
      'model.norm.weight',
      'model.layers.0.input_layernorm.weight',
      'q_norm.weight',
      'k_proj.bias',
      'up_proj.weight',
    ]
    const groups = parameterGroups(new Map(names.map((name) => [name, variable([2])])), {
      learningRate: 1e-3,
      weightDecay: 0.1,
    })
    expect(flat(groups)).toEqual(
      names.map((name) => ({ name, lrScale: 1, weightDecay: name === 'up_proj.weight' ? 0.1 : 0 })),
    )
  })

  it("sorts as PEFT's create_loraplus_optimizer", () => {
    const { lr, ratio, lrEmbedding, weightDecay, parameters } = read('loraplus.json')
    const made = parameterGroups(
      new Map(parameters.map(({ name, shape }: { name: string; shape: number[] }) => [name, variable(shape)])),
      { learningRate: lr, weightDecay, loraPlusLrRatio: ratio, loraPlusLrEmbedding: lrEmbedding },
    )
    const found = new Map(flat(made).map(({ name, ...settings }) => [name, settings]))
    expect(found.size).toBe(parameters.length)
    expect(new Set(parameters.map((each: { lr: number }) => each.lr)).size).toBe(3)
    for (const { name, lr: rate, weightDecay: decay } of parameters) {
      expect(found.get(name)!.weightDecay, name).toBe(decay)
      expect(lr * found.get(name)!.lrScale, name).toBeCloseTo(rate, 15)
    }
  })
})
