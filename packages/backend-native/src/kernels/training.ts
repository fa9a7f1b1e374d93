import { type TensorInfo, util } from '@tensorflow/tfjs-core'
import type { AdamWAttrs, CrossEntropyAttrs, WeightAttrs } from '@tunesmith/backend'
import { defineKernel } from '../kernel-call'

export function registerTraining(): void {
  defineKernel<CrossEntropyAttrs>('LinearCrossEntropy', (call, attrs) => {
    const { labelSmoothing = 0, softcap = 0, mode = 'nll', needsHiddenGrad, needsWeightGrad } = attrs
    if (mode !== 'nll' && mode !== 'dft') call.fail(`unknown mode "${mode}"`)
    const { outFeatures, inFeatures } = attrs
    const [tokens] = call.sizes('hidden')
    const weight = call.weight(attrs)
    const hidden = call.floats('hidden', tokens, inFeatures)
    const bias = call.optionalFloats('bias', outFeatures)
    const labels = call.ints('labels', tokens)
    const loss = call.output()
    const nll = call.output(tokens)
    const entropy = call.output(tokens)
    const correct = call.output(tokens)
    const dHidden = needsHiddenGrad ? call.output(tokens, inFeatures) : call.output(0)
    const dWeight = needsWeightGrad ? call.output(outFeatures, inFeatures) : call.output(0)
    call.check(
      call.addon.crossEntropy(
        tokens,
        ...weight,
        hidden,
        bias,
        labels,
        labelSmoothing,
        softcap,
        mode === 'dft',
        loss.values,
        nll.values,
        entropy.values,
        correct.values,
        needsHiddenGrad ? dHidden.values : null,
        needsWeightGrad ? dWeight.values : null,
      ),
    )
    return [loss, nll, entropy, correct, dHidden, dWeight].map(({ info }) => info)
  })

  defineKernel<WeightAttrs>('EmbeddingLookup', (call, attrs) => {
    const [tokens] = call.info('ids', 'int32', [-1]).shape as [number]
    const { info, values } = call.output(tokens, attrs.inFeatures)
    call.check(call.addon.embeddingLookup(tokens, ...call.weight(attrs), call.ints('ids', tokens), values))
    return info
  })

  defineKernel<{ outFeatures: number }>('EmbeddingGrad', (call, { outFeatures }) => {
    const [tokens, hidden] = call.sizes('dy')
    const { info, values } = call.output(outFeatures, hidden)
    const dy = call.floats('dy', tokens, hidden)
    call.check(call.addon.embeddingGrad(tokens, outFeatures, hidden, dy, call.ints('ids', tokens), values))
    return info
  })

  defineKernel<AdamWAttrs>('AdamWSteps', (call, attrs) => {
    const { lr, beta1, beta2, eps, weightDecay, step, gradScale } = attrs
    if (!Number.isSafeInteger(step) || step < 1) call.fail(`step counts from 1, got ${step}`)
    for (const [i, shape] of call.listed().entries()) {
      const written = (name: string) => call.backend.writable(call.info(`${name}${i}`, 'float32', shape))
      const [param, expAvg, expAvgSq] = [written('param'), written('expAvg'), written('expAvgSq')]
      const tensors = [param, call.floats(`grad${i}`, ...shape), expAvg, expAvgSq] as const
      const size = util.sizeFromShape(shape)
      call.check(call.addon.adamW(size, ...tensors, lr, beta1, beta2, eps, weightDecay, step, gradScale))
    }
    return []
  })

  defineKernel<AdamWAttrs>('AdamW8bitSteps', (call, attrs) => {
    const { lr, beta1, beta2, eps, weightDecay, step, gradScale } = attrs
    if (!Number.isSafeInteger(step) || step < 1) call.fail(`step counts from 1, got ${step}`)
    const { backend, addon } = call
    const maps = [call.floats('qmap1', 256), call.floats('qmap2', 256)] as const
    for (const [i, shape] of call.listed().entries()) {
      const size = util.sizeFromShape(shape)
      const codes = (name: string) => backend.writableInts(call.info(`${name}${i}`, 'int32', [Math.ceil(size / 4)]))
      const scales = (name: string) => backend.writable(call.info(`${name}${i}`, 'float32', [Math.ceil(size / 256)]))
      const grad = call.floats(`grad${i}`, ...shape)
      const state = [codes('state1'), codes('state2'), scales('absmax1'), scales('absmax2'), ...maps] as const
      const param = backend.writable(call.info(`param${i}`, 'float32', shape))
      call.check(addon.adamW8bit(size, param, grad, ...state, lr, beta1, beta2, eps, weightDecay, step, gradScale))
    }
    return []
  })

  defineKernel('GradNorm', (call) => {
    let sum = 0
    for (const [name, { shape }] of Object.entries(call.inputs as Record<string, TensorInfo>))
      sum += call.addon.sumSquares(util.sizeFromShape(shape), call.floats(name, ...shape))
    const { info, values } = call.output()
    values[0] = Math.sqrt(sum)
    return info
  })

  defineKernel('KvCacheUpdate', (call) => {
    const [capacity, width] = call.sizes('cache')
    const [count] = call.sizes('x')
    const x = call.floats('x', count, width)
    const rows = call.ints('rows', count)
    const cache = call.backend.writable(call.info('cache', 'float32', [capacity, width]))
    call.check(call.addon.copyRows(count, width, capacity, x, rows, cache))
    return []
  })
}
