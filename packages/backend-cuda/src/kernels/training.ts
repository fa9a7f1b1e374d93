import { type TensorInfo, util } from '@tensorflow/tfjs-core'
import type { AdamWAttrs, CrossEntropyAttrs, WeightAttrs } from '@tunesmith/backend'
import { type Handle, STORAGE } from '../addon'
import { type CudaCall, defineCudaKernel } from '../kernel-call'

/** The numbers of a step in the addon's order. */
function stepNumbers(call: CudaCall, attrs: AdamWAttrs): (number | null)[] {
  const { lr, beta1, beta2, eps, weightDecay, step, gradScale } = attrs
  if (!Number.isSafeInteger(step) || step < 1) call.fail(`step counts from 1, got ${step}`)
  return [lr, beta1, beta2, eps, weightDecay, step, gradScale]
}

/** What a step writes in place. */
function written(call: CudaCall, name: string, shape: number[], dtype: 'float32' | 'int32' = 'float32'): Handle {
  return call.backend.writable(call.info(name, dtype, shape), dtype === 'int32' ? STORAGE.i32 : STORAGE.f32)
}

/** Size, parameter, its bf16 copy and gradient of one entry of the list. */
function updated(call: CudaCall, i: number, shape: number[]): (number | null)[] {
  const { handle, copy } = call.backend.writableParameter(call.info(`param${i}`, 'float32', shape))
  return [util.sizeFromShape(shape), handle, copy, call.floats(`grad${i}`, ...shape)]
}

export function registerCudaTraining(): void {
  defineCudaKernel<WeightAttrs & Partial<CrossEntropyAttrs>>('LinearCrossEntropy', (call, attrs) => {
    const { labelSmoothing = 0, softcap = 0, mode = 'nll', needsHiddenGrad, needsWeightGrad } = attrs
    if (mode !== 'nll' && mode !== 'dft') call.fail(`unknown mode "${mode}"`)
    const { outFeatures, inFeatures } = attrs
    const [tokens] = call.sizes('hidden')
    const weight = call.weight(attrs)
    const hidden = call.floats('hidden', tokens, inFeatures)
    const bias = call.optionalFloats('bias', outFeatures)
    const labels = call.boundaries('labels', tokens)
    const loss = call.float32()
    const [nll, entropy, correct] = [call.float32(tokens), call.float32(tokens), call.float32(tokens)]
    const dHidden = needsHiddenGrad ? call.activation(tokens, inFeatures) : call.float32(0)
    const dWeight = needsWeightGrad ? call.float32(outFeatures, inFeatures) : call.float32(0)
    call.addon.crossEntropy(
      tokens,
      ...weight,
      ...([hidden, bias, labels.handle, labels.host, labelSmoothing, softcap, mode === 'dft'] as const),
      ...([loss.handle, nll.handle, entropy.handle, correct.handle] as const),
      needsHiddenGrad ? dHidden.handle : null,
      needsWeightGrad ? dWeight.handle : null,
    )
    return [loss, nll, entropy, correct, dHidden, dWeight].map(({ info }) => info)
  })

  defineCudaKernel<WeightAttrs>('EmbeddingLookup', (call, attrs) => {
    const [tokens] = call.info('ids', 'int32', [-1]).shape as [number]
    const ids = call.boundaries('ids', tokens)
    const weight = call.weight(attrs)
    const y = call.activation(tokens, attrs.inFeatures)
    call.addon.embeddingLookup(tokens, ...weight, ids.handle, ids.host, y.handle)
    return y.info
  })

  defineCudaKernel<{ outFeatures: number }>('EmbeddingGrad', (call, { outFeatures }) => {
    const [tokens, hidden] = call.sizes('dy')
    const dy = call.floats('dy', tokens, hidden)
    const ids = call.boundaries('ids', tokens)
    const dw = call.float32(outFeatures, hidden)
    call.addon.embeddingGrad(tokens, outFeatures, hidden, dy, ids.handle, ids.host, dw.handle)
    return dw.info
  })

  defineCudaKernel<AdamWAttrs>('AdamWSteps', (call, attrs) => {
    const args = stepNumbers(call, attrs)
    for (const [i, shape] of call.listed().entries()) {
      args.push(...updated(call, i, shape))
      for (const name of ['expAvg', 'expAvgSq']) args.push(written(call, `${name}${i}`, shape))
    }
    call.addon.adamW(...args)
    return []
  })

  defineCudaKernel<AdamWAttrs>('AdamW8bitSteps', (call, attrs) => {
    const args = [...stepNumbers(call, attrs), call.floats('qmap1', 256), call.floats('qmap2', 256)]
    for (const [i, shape] of call.listed().entries()) {
      const size = util.sizeFromShape(shape)
      args.push(...updated(call, i, shape))
      for (const name of ['state1', 'state2']) args.push(written(call, `${name}${i}`, [Math.ceil(size / 4)], 'int32'))
      for (const name of ['absmax1', 'absmax2']) args.push(written(call, `${name}${i}`, [Math.ceil(size / 256)]))
    }
    call.addon.adamW8bit(...args)
    return []
  })

  defineCudaKernel('GradNorm', (call) => {
    const tensors = Object.entries(call.inputs as Record<string, TensorInfo>).flatMap(([name, { shape }]) => [
      util.sizeFromShape(shape),
      call.floats(name, ...shape),
    ])
    const norm = call.float32()
    call.addon.gradNorm(norm.handle, ...tensors)
    return norm.info
  })

  defineCudaKernel('KvCacheUpdate', (call) => {
    const [capacity, width] = call.sizes('cache')
    const [count] = call.sizes('x')
    const x = call.floats('x', count, width)
    const rows = call.boundaries('rows', count)
    // A cache that began as float32 zeros is read as activations for the rest of its life.
    const cache = call.backend.writable(call.info('cache', 'float32', [capacity, width]), call.backend.activation)
    call.addon.copyRows(count, width, capacity, x, rows.handle, rows.host, cache)
    return []
  })
}
