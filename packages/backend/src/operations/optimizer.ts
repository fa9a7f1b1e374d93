import * as tf from '@tensorflow/tfjs-core'
import type { AdamWAttrs } from '../contract/attributes'
import { runKernel } from '../engine'

/** A parameter, its gradient and both of its moments, all of one shape. */
export interface AdamWUpdate {
  param: tf.Variable
  grad: tf.Tensor
  expAvg: tf.Variable
  expAvgSq: tf.Variable
}

/**
 * One AdamW step in place (Loshchilov and Hutter 2019, with torch's arithmetic: decay first, `eps` outside the
 * square root of the corrected second moment) for any number of parameters, in one call of the backend's kernel where it
 * has one. The results do not depend on which parameters share a call.
 *
 * Backends with a kernel of their own write into the tensors; elsewhere the variables are assigned.
 */
export function adamWSteps(updates: readonly AdamWUpdate[], attrs: AdamWAttrs): void {
  if (updates.length === 0) return
  if (tf.getKernel('TunesmithAdamWSteps', tf.getBackend())) {
    runKernel('TunesmithAdamWSteps', numbered(updates), attrs)
    return
  }
  const { lr, beta1, beta2, eps, weightDecay, step, gradScale } = attrs
  for (const { param, grad, expAvg, expAvgSq } of updates)
    tf.tidy(() => {
      const g = tf.mul(grad, gradScale)
      expAvg.assign(tf.add(tf.mul(expAvg, beta1), tf.mul(g, 1 - beta1)))
      expAvgSq.assign(tf.add(tf.mul(expAvgSq, beta2), tf.mul(tf.square(g), 1 - beta2)))
      const denominator = tf.add(tf.div(tf.sqrt(expAvgSq), Math.sqrt(1 - beta2 ** step)), eps)
      const update = tf.mul(tf.div(expAvg, denominator), lr / (1 - beta1 ** step))
      param.assign(tf.sub(tf.mul(param, 1 - lr * weightDecay), update))
    })
}

/** {@link adamWSteps} for one parameter. */
export function adamWStep(
  param: tf.Variable,
  grad: tf.Tensor,
  expAvg: tf.Variable,
  expAvgSq: tf.Variable,
  attrs: AdamWAttrs,
): void {
  adamWSteps([{ param, grad, expAvg, expAvgSq }], attrs)
}

/** Inputs of a kernel that takes a list: `param0`, `grad0`, ..., `param1`, ... */
export function numbered<Entry extends { [Name in keyof Entry]: tf.Tensor }>(
  list: readonly Entry[],
): Record<string, tf.Tensor> {
  const inputs: Record<string, tf.Tensor> = {}
  for (const [i, entry] of list.entries()) for (const name in entry) inputs[`${name}${i}`] = entry[name]
  return inputs
}

/** The l2 norm over all tensors together, as a number. */
export function gradNorm(grads: readonly tf.Tensor[]): number {
  const inputs = Object.fromEntries(grads.map((grad, i) => [`x${i}`, grad]))
  const [norm] = runKernel('TunesmithGradNorm', inputs)
  const value = norm!.dataSync()[0]!
  norm!.dispose()
  return value
}
