import type { LoraLinearAttrs, WeightAttrs } from '@tunesmith/backend'
import { defineCudaKernel } from '../kernel-call'

export function registerCudaLinear(): void {
  defineCudaKernel<WeightAttrs>('FrozenLinear', (call, attrs) => {
    const [tokens] = call.sizes('x')
    const x = call.floats('x', tokens, attrs.inFeatures)
    const bias = call.optionalFloats('bias', attrs.outFeatures)
    const weight = call.weight(attrs)
    const y = call.activation(tokens, attrs.outFeatures)
    call.addon.frozenLinear(tokens, ...weight, x, bias, y.handle)
    return y.info
  })

  defineCudaKernel<WeightAttrs>('FrozenLinearGrad', (call, attrs) => {
    const [tokens] = call.sizes('dy')
    const dy = call.floats('dy', tokens, attrs.outFeatures)
    const weight = call.weight(attrs)
    const dx = call.activation(tokens, attrs.inFeatures)
    call.addon.frozenLinearGrad(tokens, ...weight, dy, dx.handle)
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
    const bias = call.optionalFloats('bias', outFeatures)
    const loraA = call.floats('loraA', rank, inFeatures)
    const loraB = call.floats('loraB', outFeatures, rank)
    const weight = call.weight(attrs)
    const y = call.activation(tokens, outFeatures)
    const xa = call.activation(tokens, rank)
    const branch = [loraA, loraB, scaling, dropout, seed >>> 0]
    call.addon.loraLinear(tokens, rank, ...weight, x, bias, ...branch, y.handle, xa.handle)
    return [y.info, xa.info]
  })

  defineCudaKernel<WeightAttrs & LoraLinearAttrs>('LoraLinearInputGrad', (call, attrs) => {
    const { outFeatures, inFeatures, scaling, dropout, seed } = attrs
    const [tokens] = call.sizes('dy')
    const [rank] = call.sizes('loraA')
    const dy = call.floats('dy', tokens, outFeatures)
    const loraA = call.floats('loraA', rank, inFeatures)
    const loraB = call.floats('loraB', outFeatures, rank)
    const weight = call.weight(attrs)
    const dx = call.activation(tokens, inFeatures)
    call.addon.loraLinearInputGrad(
      tokens,
      rank,
      ...weight,
      dy,
      ...[loraA, loraB, scaling, dropout, seed >>> 0, dx.handle],
    )
    return dx.info
  })

  defineCudaKernel<LoraLinearAttrs>('LoraLinearWeightGrad', (call, { scaling, dropout, seed }) => {
    const [tokens, inFeatures] = call.sizes('x')
    const [outFeatures, rank] = call.sizes('loraB')
    const dy = call.floats('dy', tokens, outFeatures)
    const x = call.floats('x', tokens, inFeatures)
    const xa = call.floats('xa', tokens, rank)
    const loraB = call.floats('loraB', outFeatures, rank)
    const dA = call.float32(rank, inFeatures)
    const dB = call.float32(outFeatures, rank)
    const branch = [loraB, scaling, dropout, seed >>> 0]
    call.addon.loraLinearWeightGrad(
      tokens,
      rank,
      outFeatures,
      inFeatures,
      ...[dy, x, xa, ...branch, dA.handle, dB.handle],
    )
    return [dA.info, dB.info]
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
