import * as tf from '@tensorflow/tfjs-core'
import { beforeAll, describe, expect, it } from 'vitest'
import { canOffload, checkpoint, record, rmsNorm, selectBackend, valueAndGrads } from '../index'

beforeAll(async () => {
  await selectBackend({ backend: 'cpu' })
})

const variable = (values: number[], shape?: number[]) => tf.tidy(() => tf.variable(tf.tensor(values, shape)))

describe('valueAndGrads', () => {
  it('differentiates standard operations, shared inputs and several paths', () => {
    const [x, y] = [variable([2]), variable([3])]
    const { value, grads } = valueAndGrads(() => tf.sum(tf.add(tf.mul(x, x), tf.mul(x, y))) as tf.Scalar, [x, y])
    expect(value.dataSync()[0]).toBe(10)
    expect(grads.map((grad) => grad.dataSync()[0])).toEqual([7, 2])
  })

  it('gives zeros for what the value does not depend on', () => {
    const [x, y] = [variable([2]), variable([3, 4])]
    const { grads } = valueAndGrads(() => tf.sum(tf.square(x)) as tf.Scalar, [x, y])
    expect(Array.from(grads[1]!.dataSync())).toEqual([0, 0])
  })

  it("is what TensorFlow.js' own gradient functions point to at our operations", () => {
    const x = variable([1, 2], [1, 2])
    const weight = tf.tensor1d([1, 1])
    const f = () => tf.sum(rmsNorm(x as never, weight, { eps: 1e-6, offset: 0 })) as tf.Scalar
    for (const call of [() => tf.variableGrads(f, [x]), () => tf.train.sgd(1).minimize(f)])
      expect(call).toThrow(
        expect.objectContaining({ code: 'unsupported', remedy: expect.stringContaining('valueAndGrads') }),
      )
    expect(Array.from(valueAndGrads(f, [x]).grads[0]!.dataSync())).toHaveLength(2)
  })

  it('leaves only what it returns, also when a gradient is missing', () => {
    const x = variable([1.5])
    const before = tf.memory().numTensors
    const { value, grads } = valueAndGrads(() => tf.sum(tf.exp(tf.mul(x, x))) as tf.Scalar, [x])
    expect(tf.memory().numTensors).toBe(before + 2)
    tf.dispose([value, ...grads])
    const rounded = () => valueAndGrads(() => tf.sum(tf.cumprod(tf.square(x))) as tf.Scalar, [x])
    expect(rounded).toThrow('No gradient is defined for the operation Cumprod')
    expect(tf.memory().numTensors).toBe(before)
  })

  it('lets go of activations during the walk', () => {
    const x = variable(Array.from({ length: 1000 }, (_, i) => i / 1000))
    const depth = 20
    const held: number[] = []
    const probe = (input: tf.Tensor) =>
      record({
        name: 'probe',
        inputs: { input },
        forward: () => [tf.clone(input)],
        gradient: (dy) => {
          held.push(tf.memory().numTensors)
          return { input: () => tf.clone(dy) }
        },
      })[0]!
    valueAndGrads(() => {
      let y: tf.Tensor = x
      for (let i = 0; i < depth; i++) y = probe(tf.square(y))
      return tf.sum(y) as tf.Scalar
    }, [x])
    expect(held).toHaveLength(depth)
    expect(held.at(-1)!).toBeLessThan(held[0]! - depth / 2)
  })
})

describe('checkpoint', () => {
  it('keeps what blocks share, and gives it to them again', () => {
    const x = variable([1, 2, 3, 4], [2, 2])
    const before = tf.memory().numTensors
    const seen = new Set<tf.Tensor>()
    const { value, grads } = valueAndGrads(() => {
      const table = tf.tensor1d([3, 5])
      const block = (input: tf.Tensor2D, [row]: readonly tf.Tensor[]) => {
        seen.add(row!)
        return tf.mul(tf.square(input), row!) as tf.Tensor2D
      }
      const options = { shared: [table] }
      const y = checkpoint(block, checkpoint(block, x as never, [], options), [], options)
      table.dispose()
      return tf.sum(y) as tf.Scalar
    }, [x])
    // y = row^3 x^4; the second run of each block has a tensor of its own.
    expect(Array.from(grads[0]!.dataSync())).toEqual([4 * 27, 4 * 8 * 125, 4 * 27 * 27, 4 * 64 * 125])
    expect(seen.size).toBe(3)
    tf.dispose([value, ...grads])
    expect(tf.memory().numTensors).toBe(before)
    expect([...seen].every((tensor) => tensor.isDisposed)).toBe(true)
  })

  it('gives the same gradients bit for bit, keeps less, and skips what nobody asked for', () => {
    const weight = variable([1, 2, 0.5])
    const x = variable([1, 2, 3, 4, 5, 6], [2, 3])
    const block = (input: tf.Tensor2D) =>
      tf.tanh(
        rmsNorm(tf.mul(input, input) as tf.Tensor2D, weight as tf.Tensor1D & tf.Variable, { eps: 1e-5, offset: 0 }),
      ) as tf.Tensor2D
    const run = (wrap: (input: tf.Tensor2D) => tf.Tensor2D, xs: tf.Tensor[]) => {
      let saved = 0
      const { grads } = valueAndGrads(() => {
        const before = tf.memory().numTensors
        const y = tf.tidy(() => wrap(wrap(x as tf.Tensor2D & tf.Variable)))
        saved = tf.memory().numTensors - before
        return tf.sum(tf.square(y)) as tf.Scalar
      }, xs)
      return { grads: grads.map((grad) => Array.from(grad.dataSync())), saved }
    }
    const plain = run(block, [x, weight])
    const checkpointed = run((input) => checkpoint(block, input, [weight]), [x, weight])
    expect(checkpointed.grads).toEqual(plain.grads)
    expect(checkpointed.saved).toBeLessThan(plain.saved)
    expect(run((input) => checkpoint(block, input, [weight]), [weight]).grads[0]).toEqual(plain.grads[1])
  })

  it('offloads each input behind the next block and asks for the one before in the backward pass', () => {
    const events: string[] = []
    const inputs: unknown[] = []
    const note = (event: string) => (x: tf.TensorInfo) => {
      // Clones share their data.
      if (!inputs.includes(x.dataId)) inputs.push(x.dataId)
      events.push(`${event} ${inputs.indexOf(x.dataId)}`)
      return []
    }
    const kernels = ['TunesmithOffload', 'TunesmithPrefetch'] as const
    kernels.forEach((kernelName, i) => {
      const run = note(i === 0 ? 'offload' : 'prefetch')
      const kernelFunc = ({ inputs: given }: { inputs: tf.NamedTensorInfoMap }) => run(given.x as tf.TensorInfo)
      tf.registerKernel({ kernelName, backendName: 'cpu', kernelFunc })
    })
    try {
      expect(canOffload()).toBe(true)
      const x = variable([1, 2, 3, 4, 5, 6], [2, 3])
      let runs = 0
      const block = (input: tf.Tensor2D) => {
        events.push(`run ${runs++}`)
        return tf.tanh(input)
      }
      const gradient = (offload: boolean) => {
        const { value, grads } = valueAndGrads(() => {
          let y: tf.Tensor2D = x as never
          for (let i = 0; i < 3; i++) y = checkpoint(block, y, [], { offload })
          return tf.sum(y) as tf.Scalar
        }, [x])
        value.dispose()
        return Array.from(grads[0]!.dataSync())
      }
      const before = tf.memory().numTensors
      const moved = gradient(true)
      expect(events.join(', ')).toBe(
        'run 0, offload 0, run 1, offload 1, run 2, offload 2, prefetch 1, run 3, prefetch 0, run 4, run 5',
      )
      expect(tf.memory().numTensors).toBe(before + 1)
      events.length = 0
      expect(gradient(false)).toEqual(moved)
      expect(events.every((event) => event.startsWith('run'))).toBe(true)
    } finally {
      for (const name of kernels) tf.unregisterKernel(name, 'cpu')
    }
    expect(canOffload()).toBe(false)
  })
})
