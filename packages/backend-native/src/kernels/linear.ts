import type { LoraLinearAttrs, LoraLinearGradAttrs, WeightAttrs } from '@tunesmith/backend'
import { defineKernel } from '../kernel-call'
import { addAddend } from './addend'

export function registerLinear(): void {
  defineKernel<WeightAttrs>('FrozenLinear', (call, attrs) => {
    const [tokens] = call.sizes('x')
    const { info, values } = call.output(tokens, attrs.outFeatures)
    const x = call.floats('x', tokens, attrs.inFeatures)
    const bias = call.optionalFloats('bias', attrs.outFeatures)
    call.check(call.addon.frozenLinear(tokens, ...call.weight(attrs), x, bias, values))
    return info
  })

  defineKernel<WeightAttrs>('FrozenLinearGrad', (call, attrs) => {
    const [tokens] = call.sizes('dy')
    const { info, values } = call.output(tokens, attrs.inFeatures)
    call.check(
      call.addon.frozenLinearGrad(tokens, ...call.weight(attrs), call.floats('dy', tokens, attrs.outFeatures), values),
    )
    addAddend(call, { info, values })
    return info
  })

  defineKernel('LinearWeightGrad', (call) => {
    const [tokens, outFeatures] = call.sizes('dy')
    const [, inFeatures] = call.sizes('x')
    const { info, values } = call.output(outFeatures, inFeatures)
    const dy = call.floats('dy', tokens, outFeatures)
    const x = call.floats('x', tokens, inFeatures)
    call.check(call.addon.linearWeightGrad(tokens, outFeatures, inFeatures, dy, x, values))
    return info
  })

  defineKernel<WeightAttrs & LoraLinearAttrs>('LoraLinear', (call, attrs) => {
    const { outFeatures, inFeatures, scaling, dropout, seed } = attrs
    const [tokens] = call.sizes('x')
    const [rank] = call.sizes('loraA')
    const y = call.output(tokens, outFeatures)
    const xa = call.output(tokens, rank)
    call.check(
      call.addon.loraLinear(
        tokens,
        rank,
        ...call.weight(attrs),
        call.floats('x', tokens, inFeatures),
        call.optionalFloats('bias', outFeatures),
        call.floats('loraA', rank, inFeatures),
        call.floats('loraB', outFeatures, rank),
        scaling,
        dropout,
        seed >>> 0,
        y.values,
        xa.values,
      ),
    )
    return [y.info, xa.info]
  })

  defineKernel<WeightAttrs & LoraLinearGradAttrs>('LoraLinearGrad', (call, attrs) => {
    const { outFeatures, inFeatures, scaling, dropout, seed, needsInputGrad, needsWeightGrad } = attrs
    const [tokens] = call.sizes('dy')
    const [rank] = call.sizes('loraA')
    const dx = needsInputGrad ? call.output(tokens, inFeatures) : call.output(0)
    const dA = needsWeightGrad ? call.output(rank, inFeatures) : call.output(0)
    const dB = needsWeightGrad ? call.output(outFeatures, rank) : call.output(0)
    call.check(
      call.addon.loraLinearGrad(
        tokens,
        rank,
        ...call.weight(attrs),
        call.floats('dy', tokens, outFeatures),
        call.floats('loraA', rank, inFeatures),
        call.floats('loraB', outFeatures, rank),
        scaling,
        dropout,
        seed >>> 0,
        needsInputGrad ? dx.values : null,
        needsWeightGrad ? call.floats('x', tokens, inFeatures) : null,
        needsWeightGrad ? call.floats('xa', tokens, rank) : null,
        needsWeightGrad ? dA.values : null,
        needsWeightGrad ? dB.values : null,
      ),
    )
    if (needsInputGrad) addAddend(call, dx)
    return [dx.info, dA.info, dB.info]
  })

  defineKernel<WeightAttrs & { rowStart: number; rowEnd: number }>('Dequantize', (call, attrs) => {
    const { rowStart, rowEnd, outFeatures, inFeatures } = attrs
    if (!(rowStart >= 0 && rowStart <= rowEnd && rowEnd <= outFeatures))
      call.fail(`rows [${rowStart}, ${rowEnd}) are not inside [0, ${outFeatures})`)
    const { info, values } = call.output(rowEnd - rowStart, inFeatures)
    call.check(call.addon.dequantize(rowStart, rowEnd, ...call.weight(attrs), values))
    return info
  })
}
