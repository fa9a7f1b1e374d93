import * as tf from '@tensorflow/tfjs-core'
import { unsupported } from '@tunesmith/core'
import { engineState, type TapeNode } from '../engine'
import { nodesOnPath } from './tape'

/** What the gradient function of the node whose turn it is may ask. */
interface Turn {
  node: TapeNode
  wanted: readonly string[]
  gradients: ReadonlyMap<number, tf.Tensor>
  /** Ids of the tensors whose gradient so far is in the hands of the gradient function. */
  taken: Set<number>
}
let turn: Turn | undefined

/**
 * Whether {@link walkBack} is at the node: the gradients of its inputs share tensors, which TensorFlow.js' own walk releases too early.
 *
 * @throws {TunesmithError} `unsupported`, naming what to call.
 */
export function requireTurn(node: TapeNode): void {
  if (turn?.node === node) return
  throw unsupported(`TensorFlow.js' own gradient functions do not reach through the operation ${node.kernelName}`, {
    where: 'tf.variableGrads, tf.valueAndGrads, tf.grads, optimizer.minimize',
    remedy:
      'Call `valueAndGrads(() => loss, [...variables])` of @tunesmith/backend, and hand its gradients to `optimizer.applyGradients`',
  })
}

/** True when the gradient for this input of the node is wanted; lets a node skip what nobody asked for. */
export function currentlyWanted(name: string): boolean {
  return turn?.wanted.includes(name) ?? false
}

/**
 * The gradient that has come to this input by other paths, if any, as the input `addend` of a kernel. Who takes it returns the sum of it and its own gradient
 * in place of its own: a kernel that writes the gradient can add on the way, where a sum of two reads and writes all again.
 * The tensor stays the walk's; a kernel may write into its memory when nobody else has it.
 */
export function takeGradientSoFar(name: string): { addend?: tf.Tensor } {
  const id = turn?.node.inputs[name]?.id
  const addend = id === undefined ? undefined : turn!.gradients.get(id)
  if (!addend || turn!.taken.has(id!)) return {}
  turn!.taken.add(id!)
  return { addend }
}

/** Runs `f` with a fresh tape, hidden from any tape around it, and returns its result and what was recorded. */
export function recordTape<Y extends tf.TensorContainer>(f: () => Y): { y: Y; tape: TapeNode[] } {
  const state = engineState()
  const outer = { activeTape: state.activeTape, gradientDepth: state.gradientDepth, kernelDepth: state.kernelDepth }
  const tape: TapeNode[] = []
  Object.assign(state, { activeTape: tape, gradientDepth: 1, kernelDepth: 0 })
  try {
    return { y: tf.tidy('forward', f), tape }
  } catch (error) {
    releaseTape(tape)
    throw error
  } finally {
    Object.assign(state, outer)
  }
}

function releaseTape(tape: readonly TapeNode[]): void {
  for (const node of tape) for (const tensor of node.saved ?? []) tensor.dispose()
}

/**
 * Walks a tape backwards from `y` and returns d`y`/d`xs`, letting go of every saved activation and every
 * intermediate gradient right after its last use.
 *
 * TensorFlow.js' own walk keeps all of them until the end, which doubles the peak memory of a training step.
 * Gradients of inputs that do not influence `y` are undefined.
 */
export function walkBack(
  tape: readonly TapeNode[],
  y: tf.Tensor,
  dy: tf.Tensor,
  xs: readonly tf.Tensor[],
): (tf.Tensor | undefined)[] {
  const leaves = new Set(xs.map((x) => x.id))
  const path = nodesOnPath(tape, leaves, y.id)
  const onPath = new Set(path.map(({ node }) => node))
  releaseTape(tape.filter((node) => !onPath.has(node)))
  const gradients = new Map<number, tf.Tensor>([[y.id, tf.clone(dy)]])
  const outerTurn = turn
  let done = path.length
  try {
    while (done > 0) {
      const { node, wanted } = path[done - 1]!
      const dys = node.outputs.map((output) => gradients.get(output.id) ?? null)
      if (!node.gradient)
        throw unsupported(`No gradient is defined for the operation ${node.kernelName}`, {
          remedy: 'Use operations with a gradient, or register one with tf.registerGradient',
        })
      const taken = new Set<number>()
      turn = { node, wanted, gradients, taken }
      const made = tf.tidy(() => {
        const thunks = node.gradient!(dys)
        const seen = new Set<tf.Tensor | null>(dys)
        return wanted.map((name) => {
          const thunk = thunks[name]
          if (!thunk)
            throw unsupported(`${node.kernelName} has no gradient for its input "${name}"`, {
              remedy: 'Frozen weights cannot be trained; load the module as trainable float32 instead',
            })
          // Some gradients hand back their dy, or one tensor for two inputs; each entry of the map must own its tensor.
          const grad = thunk()
          if (seen.has(grad)) return tf.clone(grad)
          seen.add(grad)
          return grad
        })
      }) as tf.Tensor[]
      wanted.forEach((name, i) => {
        const id = node.inputs[name]!.id
        const previous = gradients.get(id)
        // Taken once: a second gradient for the same tensor is added to the sum.
        const summed = !previous || taken.delete(id)
        gradients.set(id, summed ? made[i]! : tf.add(previous, made[i]!))
        previous?.dispose()
        if (!summed) made[i]!.dispose()
      })
      for (const output of node.outputs) {
        const dead = gradients.get(output.id)
        if (!dead || leaves.has(output.id)) continue
        gradients.delete(output.id)
        dead.dispose()
      }
      for (const tensor of node.saved ?? []) tensor.dispose()
      done--
    }
  } catch (error) {
    for (const tensor of gradients.values()) tensor.dispose()
    releaseTape(path.slice(0, done).map(({ node }) => node))
    throw error
  } finally {
    turn = outerTurn
  }
  return xs.map((x) => gradients.get(x.id))
}

/**
 * The value of a scalar function and its gradients, with the memory of the backward pass kept small.
 *
 * @param f computes a scalar out of `xs` and anything else; called once. Tensors it hands to `keep` are returned beside the value.
 * @param xs the tensors or variables to differentiate by.
 * @returns `value` (scalar), `kept`, and `grads`, one per `xs` and of its shape; zeros where `f` does not depend on it.
 *   The caller disposes all of them.
 * @throws {TunesmithError} `unsupported` when an operation on the way has no gradient.
 */
export function valueAndGrads(
  f: (keep: (...tensors: tf.Tensor[]) => void) => tf.Scalar,
  xs: readonly tf.Tensor[],
): { value: tf.Scalar; kept: tf.Tensor[]; grads: tf.Tensor[] } {
  const { y, tape } = recordTape(() => {
    const kept: tf.Tensor[] = []
    return [f((...tensors) => void kept.push(...tensors)), ...kept]
  })
  const [value, ...kept] = y as [tf.Scalar, ...tf.Tensor[]]
  try {
    const grads = tf.tidy(() => walkBack(tape, value, tf.scalar(1), xs).map((grad, i) => grad ?? tf.zerosLike(xs[i]!)))
    return { value, kept, grads }
  } catch (error) {
    tf.dispose(y)
    throw error
  }
}
