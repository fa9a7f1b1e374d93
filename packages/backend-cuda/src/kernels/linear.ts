import type { LoraLinearAttrs, LoraLinearGradAttrs, WeightAttrs } from '@tunesmith/backend'
import { defineCudaKernel } from '../kernel-call'

export function registerCudaLinear(): void {
  defineCudaKernel<WeightAttrs>('Linear', (call, attrs) => {
    const [tokens] = call.sizes('x')
    const x = call.floats('x', tokens, attrs.inFeatures)
    const bias = call.optionalParameter('bias', attrs.outFeatures)
    const weight = call.weight(attrs)
    const y = call.activation(tokens, attrs.outFeatures)
    call.addon.frozenLinear(tokens, ...weight, x, bias, y.handle)
    return y.info
  })

  defineCudaKernel<WeightAttrs>('LinearGrad', (call, attrs) => {
    const [tokens] = call.sizes('dy')
    const dy = call.floats('dy', tokens, attrs.outFeatures)
    const weight = call.weight(attrs)
    const addend = call.optionalFloats('addend', tokens, attrs.inFeatures)
    const dx = call.activationOver('addend', tokens, attrs.inFeatures)
    call.addon.frozenLinearGrad(tokens, ...weight, dy, addend, dx.handle)
    return dx.info
  })

  defineCudaKernel('LinearWeightGrad', (call) => {
    const [tokens, outFeatures] = call.sizes('dy')
    const [, inFeatures] = call.sizes('x')
    const dy = call.floats('dy', tokens, outFeatures)
    const x = call.floats('x', tokens, inFeatures)
    const dw = call.float32(outFeatures, inFeatures)
    call.addon.linearWeightGrad(tokens, outFeatures, inFeatures, dy, x, dw.handle)
    return dw.info
  })

  defineCudaKernel<WeightAttrs & LoraLinearAttrs>('LoraLinear', (call, attrs) => {
    const { outFeatures, inFeatures, scaling, dropout, seed } = attrs
    const [tokens] = call.sizes('x')
    const [rank] = call.sizes('loraA')
    const x = call.floats('x', tokens, inFeatures)
    const bias = call.optionalParameter('bias', outFeatures)
    const loraA = call.parameter('loraA', rank, inFeatures)
    const loraB = call.parameter('loraB', outFeatures, rank)
    const weight = call.weight(attrs)
    const y = call.activation(tokens, outFeatures)
    const xa = call.activation(tokens, rank)
    const branch = [loraA, loraB, scaling, dropout, seed >>> 0]
    call.addon.loraLinear(tokens, rank, ...weight, x, bias, ...branch, y.handle, xa.handle)
    return [y.info, xa.info]
  })

  defineCudaKernel<WeightAttrs & LoraLinearGradAttrs>('LoraLinearGrad', (call, attrs) => {
    const { outFeatures, inFeatures, scaling, dropout, seed, needsInputGrad, needsWeightGrad } = attrs
    const [tokens] = call.sizes('dy')
    const [rank] = call.sizes('loraA')
    const dy = call.floats('dy', tokens, outFeatures)
    const branch = [
      call.parameter('loraA', rank, inFeatures),
      call.parameter('loraB', outFeatures, rank),
      scaling,
      dropout,
    ]
    const weight = call.weight(attrs)
    const addend = needsInputGrad ? call.optionalFloats('addend', tokens, inFeatures) : null
    const saved = needsWeightGrad
      ? [call.floats('x', tokens, inFeatures), call.floats('xa', tokens, rank)]
      : [null, null]
    const dx = needsInputGrad ? call.activationOver('addend', tokens, inFeatures) : undefined
    const grads = needsWeightGrad ? [call.float32(rank, inFeatures), call.float32(outFeatures, rank)] : []
    call.addon.loraLinearGrad(
      ...([tokens, rank, ...weight, dy, ...branch, seed >>> 0] as const),
      ...([addend, dx?.handle ?? null, ...saved, grads[0]?.handle ?? null, grads[1]?.handle ?? null] as const),
    )
    return [dx, grads[0], grads[1]].map((made) => (made ?? call.float32(0)).info)
  })

  defineCudaKernel<WeightAttrs & { rowStart: number; rowEnd: number }>('Dequantize', (call, attrs) => {
    const { rowStart, rowEnd, outFeatures, inFeatures } = attrs
    if (!(rowStart >= 0 && rowStart <= rowEnd && rowEnd <= outFeatures))
      call.fail(`rows [${rowStart}, ${rowEnd}) are not inside [0, ${outFeatures})`)
    const weight = call.weight(attrs)
    const y = call.float32(rowEnd - rowStart, inFeatures)
    call.addon.dequantize(rowStart, rowEnd, ...weight, y.handle)
    return y.info
  })
}
