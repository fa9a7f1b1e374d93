import {
  type AttentionKernelAttrs,
  type DropoutAttrs,
  dropoutMask,
  type RMSNormAttrs,
  type RotaryEmbeddingAttrs,
  type SwiGLUAttrs,
} from '@tunesmith/backend'
import type { AttentionArgs } from '../addon'
import { defineKernel, type KernelCall } from '../kernel-call'
import { addAddend } from './addend'

function attentionArgs(call: KernelCall, attrs: AttentionKernelAttrs): AttentionArgs {
  const { numHeads, numKvHeads, headDim, scale, slidingWindow = 0, softcap = 0 } = attrs
  const [tokens] = call.sizes('q')
  const [keys] = call.sizes('k')
  const [bounds] = call.info('cuSeqlens', 'int32', [-1]).shape as [number]
  if (bounds < 1) call.fail('cuSeqlens must have at least one element')
  const sequences = bounds - 1
  const ranged = call.has('kvStart') || call.has('kvLength')
  return [
    tokens,
    keys,
    sequences,
    numHeads,
    numKvHeads,
    headDim,
    scale,
    slidingWindow,
    softcap,
    call.floats('q', tokens, numHeads * headDim),
    call.floats('k', keys, numKvHeads * headDim),
    call.floats('v', keys, numKvHeads * headDim),
    call.ints('cuSeqlens', bounds),
    ranged ? call.ints('kvStart', sequences) : null,
    ranged ? call.ints('kvLength', sequences) : null,
  ]
}

export function registerBlock(): void {
  defineKernel<RMSNormAttrs>('RMSNorm', (call, { eps, offset }) => {
    const [tokens, hidden] = call.sizes('x')
    const { info, values } = call.output(tokens, hidden)
    const weight = call.floats('weight', hidden)
    call.check(call.addon.rmsNorm(tokens, hidden, call.floats('x', -1, -1), weight, eps, offset, values))
    return info
  })

  defineKernel<RMSNormAttrs>('RMSNormGrad', (call, { eps, offset }) => {
    const [tokens, hidden] = call.sizes('x')
    const { info, values } = call.output(tokens, hidden)
    const dy = call.floats('dy', tokens, hidden)
    const x = call.floats('x', tokens, hidden)
    call.check(call.addon.rmsNormGrad(tokens, hidden, dy, x, call.floats('weight', hidden), eps, offset, values))
    addAddend(call, { info, values })
    return info
  })

  defineKernel<Pick<RMSNormAttrs, 'eps'>>('RMSNormWeightGrad', (call, { eps }) => {
    const [tokens, hidden] = call.sizes('x')
    const { info, values } = call.output(hidden)
    const dy = call.floats('dy', tokens, hidden)
    call.check(call.addon.rmsNormWeightGrad(tokens, hidden, dy, call.floats('x', tokens, hidden), eps, values))
    return info
  })

  defineKernel<RotaryEmbeddingAttrs & { inverse?: boolean }>(
    'RotaryEmbedding',
    (call, { headDim, rotaryDim, inverse = false }) => {
      const [tokens, width] = call.sizes('x')
      if (width % headDim !== 0) call.fail(`x has ${width} columns, not a multiple of headDim ${headDim}`)
      const { info, values } = call.output(tokens, width)
      const x = call.floats('x', tokens, width)
      const cos = call.floats('cos', tokens, rotaryDim / 2)
      const sin = call.floats('sin', tokens, rotaryDim / 2)
      call.check(call.addon.rope(tokens, width / headDim, headDim, rotaryDim, inverse, x, cos, sin, values))
      return info
    },
  )

  defineKernel<DropoutAttrs>('Dropout', (call, { rate, seed }) => {
    const [tokens, width] = call.sizes('x')
    const { info, values } = call.output(tokens, width)
    const x = call.floats('x', tokens, width)
    const mask = dropoutMask(values.length, rate, seed)
    for (let i = 0; i < values.length; i++) values[i] = x[i]! * mask[i]!
    return info
  })

  defineKernel<AttentionKernelAttrs>('CausalAttention', (call, attrs) => {
    const args = attentionArgs(call, attrs)
    const out = call.output(args[0], attrs.numHeads * attrs.headDim)
    const lse = call.output(args[0], attrs.numHeads)
    call.check(call.addon.attention(...args, out.values, lse.values))
    return [out.info, lse.info]
  })

  defineKernel<AttentionKernelAttrs>('CausalAttentionGrad', (call, attrs) => {
    const args = attentionArgs(call, attrs)
    const [tokens, keys] = args
    const width = attrs.numHeads * attrs.headDim
    const kvWidth = attrs.numKvHeads * attrs.headDim
    const dq = call.output(tokens, width)
    const dk = call.output(keys, kvWidth)
    const dv = call.output(keys, kvWidth)
    const dout = call.floats('dout', tokens, width)
    const out = call.floats('out', tokens, width)
    const lse = call.floats('lse', tokens, attrs.numHeads)
    call.check(call.addon.attentionGrad(...args, dout, out, lse, dq.values, dk.values, dv.values))
    return [dq.info, dk.info, dv.info]
  })

  const isGelu = (call: KernelCall, activation: string = 'silu') => {
    if (activation !== 'silu' && activation !== 'gelu_tanh') call.fail(`unknown activation "${activation}"`)
    return activation === 'gelu_tanh'
  }

  defineKernel<Partial<SwiGLUAttrs>>('SwiGLU', (call, { activation }) => {
    const [tokens, width] = call.sizes('gate')
    const { info, values } = call.output(tokens, width)
    const gate = call.floats('gate', tokens, width)
    const up = call.floats('up', tokens, width)
    call.check(call.addon.swiglu(tokens * width, isGelu(call, activation), gate, up, values))
    return info
  })

  defineKernel<Partial<SwiGLUAttrs>>('SwiGLUGrad', (call, { activation }) => {
    const [tokens, width] = call.sizes('gate')
    const dgate = call.output(tokens, width)
    const dup = call.output(tokens, width)
    const dy = call.floats('dy', tokens, width)
    const gate = call.floats('gate', tokens, width)
    const up = call.floats('up', tokens, width)
    const gelu = isGelu(call, activation)
    call.check(call.addon.swigluGrad(tokens * width, gelu, dy, gate, up, dgate.values, dup.values))
    return [dgate.info, dup.info]
  })
}
