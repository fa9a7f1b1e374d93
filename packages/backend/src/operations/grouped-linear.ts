import * as tf from '@tensorflow/tfjs-core'
import { record } from '../autograd/record'
import { runKernel } from '../engine'
import { type WeightMatrix, weightAttrs, weightInputs } from '../weights'

/** The groups that have rows: which weight, and where its rows are. */
const groupsOf = (counts: ArrayLike<number>) => {
  const groups: { group: number; start: number; count: number }[] = []
  let start = 0
  for (let group = 0; group < counts.length; group++) {
    const count = counts[group]!
    if (count > 0) groups.push({ group, start, count })
    start += count
  }
  return groups
}

const rows = (x: tf.Tensor, start: number, count: number) => tf.slice2d(x as tf.Tensor2D, [start, 0], [count, -1])

/**
 * Rows that lie in groups, each group times a weight of its own: the experts of a mixture over tokens that were sorted by expert. A weight
 * without rows is not touched.
 *
 * The gradient of `x` is always there. `f32` weights may be trained as well; packed ones are frozen.
 *
 * @param x `[rows, in]`
 * @param weights `[out, in]` each, in any format.
 * @param counts how many rows each weight has, in their order.
 * @returns `[rows, out]`
 */
export function groupedLinear(
  x: tf.Tensor2D,
  weights: readonly WeightMatrix[],
  counts: ArrayLike<number>,
): tf.Tensor2D {
  const groups = groupsOf(counts)
  const trained = weights.flatMap((weight, group): [string, tf.Tensor][] =>
    weight.format === 'f32' ? [[`weight${group}`, weight.weight]] : [],
  )
  const isTrained = weights.some(({ weight }) => weight instanceof tf.Variable && weight.trainable)
  const product = (kernel: 'Linear' | 'LinearGrad', input: 'x' | 'dy', of: tf.Tensor) =>
    tf.tidy(() => {
      const parts = groups.map(({ group, start, count }) => {
        const weight = weights[group]!
        const inputs = { [input]: rows(of, start, count), ...weightInputs(weight) }
        return runKernel(`Tunesmith${kernel}`, inputs as never, weightAttrs(weight) as never)[0] as tf.Tensor2D
      })
      return parts.length === 1 ? parts[0]! : tf.concat2d(parts, 0)
    })
  return record({
    name: 'GroupedLinear',
    inputs: { x, ...Object.fromEntries(trained) },
    forward: () => [product('Linear', 'x', x)],
    save: (): tf.Tensor[] => (isTrained ? [x] : []),
    gradient: (dy, [x]) => {
      const ofWeight = (group: number) => () => {
        const found = groups.find((one) => one.group === group)
        const { outFeatures, inFeatures } = weights[group]!
        if (!found) return tf.zeros([outFeatures, inFeatures])
        const { start, count } = found
        return tf.tidy(
          () => runKernel('TunesmithLinearWeightGrad', { dy: rows(dy, start, count), x: rows(x!, start, count) })[0]!,
        )
      }
      return {
        x: () => product('LinearGrad', 'dy', dy),
        ...Object.fromEntries(weights.map((_, group) => [`weight${group}`, ofWeight(group)])),
      }
    },
  })[0] as tf.Tensor2D
}

/**
 * Adds rows into places: `y[places[i]] += x[i]`, the way back of looking rows up.
 *
 * @param x `[rows, width]`
 * @param places int32 `[rows]`, each in [0, count).
 * @returns `[count, width]`
 */
export function scatterRows(x: tf.Tensor2D, places: tf.Tensor1D, count: number): tf.Tensor2D {
  return record({
    name: 'ScatterRows',
    inputs: { x },
    forward: () => runKernel('TunesmithEmbeddingGrad', { dy: x, ids: places }, { outFeatures: count }),
    save: () => [places],
    gradient: (dy, [places]) => ({
      x: () => {
        const [outFeatures, inFeatures] = dy.shape as [number, number]
        const attrs = weightAttrs({ format: 'f32', outFeatures, inFeatures, weight: dy })
        return runKernel('TunesmithEmbeddingLookup', { weight: dy, ids: places! }, attrs)[0]!
      },
    }),
  })[0] as tf.Tensor2D
}
