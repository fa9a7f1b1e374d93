import { type TensorInfo, util } from '@tensorflow/tfjs-core'
import type { AdamWAttrs, CrossEntropyAttrs, WeightAttrs } from '@tunesmith/backend'
import { STORAGE } from '../addon'
import { defineCudaKernel } from '../kernel-call'

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

  defineCudaKernel<AdamWAttrs>('AdamWStep', (call, attrs) => {
    const { lr, beta1, beta2, eps, weightDecay, step, gradScale } = attrs
    if (!Number.isSafeInteger(step) || step < 1) call.fail(`step counts from 1, got ${step}`)
    const shape = (call.inputs.param as TensorInfo | undefined)?.shape ?? call.fail('input "param" is missing')
    const [param, expAvg, expAvgSq] = ['param', 'expAvg', 'expAvgSq'].map((name) =>
      call.backend.writable(call.info(name, 'float32', shape), STORAGE.f32),
    ) as [number, number, number]
    const grad = call.floats('grad', ...shape)
    const hyper = [lr, beta1, beta2, eps, weightDecay, step, gradScale]
    call.addon.adamW(...hyper, util.sizeFromShape(shape), param, grad, expAvg, expAvgSq)
    return []
  })

  defineCudaKernel<AdamWAttrs>('AdamW8bitStep', (call, attrs) => {
    const { lr, beta1, beta2, eps, weightDecay, step, gradScale } = attrs
    if (!Number.isSafeInteger(step) || step < 1) call.fail(`step counts from 1, got ${step}`)
    const shape = (call.inputs.param as TensorInfo | undefined)?.shape ?? call.fail('input "param" is missing')
    const size = util.sizeFromShape(shape)
    const written = (name: string, dtype: 'float32' | 'int32', sizes: number[]) =>
      call.backend.writable(call.info(name, dtype, sizes), dtype === 'int32' ? STORAGE.i32 : STORAGE.f32)
    const words = [Math.ceil(size / 4)]
    const blocks = [Math.ceil(size / 256)]
    const param = written('param', 'float32', shape)
    const states = [written('state1', 'int32', words), written('state2', 'int32', words)]
    const scales = [written('absmax1', 'float32', blocks), written('absmax2', 'float32', blocks)]
    const maps = [call.floats('qmap1', 256), call.floats('qmap2', 256)]
    const numbers = [lr, beta1, beta2, eps, weightDecay, step, gradScale]
    call.addon.adamW8bit(size, param, call.floats('grad', ...shape), ...states, ...scales, ...maps, ...numbers)
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
