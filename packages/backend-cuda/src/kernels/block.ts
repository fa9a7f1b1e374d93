import type {
  AttentionKernelAttrs,
  DropoutAttrs,
  RMSNormAttrs,
  RotaryEmbeddingAttrs,
  SwiGLUAttrs,
} from '@tunesmith/backend'
import type { AttentionArgs } from '../addon'
import { type CudaCall, defineCudaKernel } from '../kernel-call'

function attentionArgs(call: CudaCall, attrs: AttentionKernelAttrs): AttentionArgs {
  const { numHeads, numKvHeads, headDim, scale, slidingWindow = 0, softcap = 0 } = attrs
  const [tokens] = call.sizes('q')
  const [keys] = call.sizes('k')
  const [bounds] = call.info('cuSeqlens', 'int32', [-1]).shape as [number]
  if (bounds < 1) call.fail('cuSeqlens must have at least one element')
  const sequences = bounds - 1
  const ranged = call.has('kvStart') || call.has('kvLength')
  const cuSeqlens = call.boundaries('cuSeqlens', bounds)
  const kvStart = ranged ? call.boundaries('kvStart', sequences) : null
  const kvLength = ranged ? call.boundaries('kvLength', sequences) : null
  return [
    ...([tokens, keys, sequences, numHeads, numKvHeads, headDim, scale, slidingWindow, softcap] as const),
    call.floats('q', tokens, numHeads * headDim),
    call.floats('k', keys, numKvHeads * headDim),
    call.floats('v', keys, numKvHeads * headDim),
    ...([cuSeqlens.handle, kvStart?.handle ?? null, kvLength?.handle ?? null] as const),
    ...([cuSeqlens.host, kvStart?.host ?? null, kvLength?.host ?? null] as const),
  ]
}

function isGelu(call: CudaCall, activation: string = 'silu'): boolean {
  if (activation !== 'silu' && activation !== 'gelu_tanh') call.fail(`unknown activation "${activation}"`)
  return activation === 'gelu_tanh'
}

export function registerCudaBlock(): void {
  defineCudaKernel<RMSNormAttrs>('RMSNorm', (call, { eps, offset }) => {
    const [tokens, hidden] = call.sizes('x')
    const x = call.floats('x', tokens, hidden)
    const weight = call.floats('weight', hidden)
    const y = call.activation(tokens, hidden)
    call.addon.rmsNorm(tokens, hidden, x, weight, eps, offset, y.handle)
    return y.info
  })

  defineCudaKernel<RMSNormAttrs>('RMSNormGrad', (call, { eps, offset }) => {
    const [tokens, hidden] = call.sizes('x')
    const dy = call.floats('dy', tokens, hidden)
    const x = call.floats('x', tokens, hidden)
    const weight = call.floats('weight', hidden)
    const addend = call.optionalFloats('addend', tokens, hidden)
    const dx = call.activationOver('addend', tokens, hidden)
    call.addon.rmsNormGrad(tokens, hidden, dy, x, weight, eps, offset, addend, dx.handle)
    return dx.info
  })

  defineCudaKernel<Pick<RMSNormAttrs, 'eps'>>('RMSNormWeightGrad', (call, { eps }) => {
    const [tokens, hidden] = call.sizes('x')
    const dy = call.floats('dy', tokens, hidden)
    const x = call.floats('x', tokens, hidden)
    const dw = call.float32(hidden)
    call.addon.rmsNormWeightGrad(tokens, hidden, dy, x, eps, dw.handle)
    return dw.info
  })

  defineCudaKernel<RotaryEmbeddingAttrs & { inverse?: boolean }>(
    'RotaryEmbedding',
    (call, { headDim, rotaryDim, inverse = false }) => {
      const [tokens, width] = call.sizes('x')
      if (width % headDim !== 0) call.fail(`x has ${width} columns, not a multiple of headDim ${headDim}`)
      const x = call.floats('x', tokens, width)
      const cos = call.floats('cos', tokens, rotaryDim / 2)
      const sin = call.floats('sin', tokens, rotaryDim / 2)
      const y = call.activation(tokens, width)
      call.addon.rope(tokens, width / headDim, headDim, rotaryDim, inverse, x, cos, sin, y.handle)
      return y.info
    },
  )

  defineCudaKernel<DropoutAttrs>('Dropout', (call, { rate, seed }) => {
    const [tokens, width] = call.sizes('x')
    const x = call.floats('x', tokens, width)
    const y = call.activation(tokens, width)
    call.addon.dropout(tokens * width, rate, seed >>> 0, x, y.handle)
    return y.info
  })

  defineCudaKernel<AttentionKernelAttrs>('CausalAttention', (call, attrs) => {
    const args = attentionArgs(call, attrs)
    const out = call.activation(args[0], attrs.numHeads * attrs.headDim)
    const lse = call.float32(args[0], attrs.numHeads)
    call.addon.attention(...args, out.handle, lse.handle)
    return [out.info, lse.info]
  })

  defineCudaKernel<AttentionKernelAttrs>('CausalAttentionGrad', (call, attrs) => {
    const args = attentionArgs(call, attrs)
    const [tokens, keys] = args
    const width = attrs.numHeads * attrs.headDim
    const kvWidth = attrs.numKvHeads * attrs.headDim
    const dout = call.floats('dout', tokens, width)
    const out = call.floats('out', tokens, width)
    const lse = call.floats('lse', tokens, attrs.numHeads)
    const dq = call.activation(tokens, width)
    const dk = call.activation(keys, kvWidth)
    const dv = call.activation(keys, kvWidth)
    call.addon.attentionGrad(...args, dout, out, lse, dq.handle, dk.handle, dv.handle)
    return [dq.info, dk.info, dv.info]
  })

  defineCudaKernel<Partial<SwiGLUAttrs>>('SwiGLU', (call, { activation }) => {
    const [tokens, width] = call.sizes('gate')
    const gelu = isGelu(call, activation)
    const gate = call.floats('gate', tokens, width)
    const up = call.floats('up', tokens, width)
    const y = call.activation(tokens, width)
    call.addon.swiglu(tokens * width, gelu, gate, up, y.handle)
    return y.info
  })

  type GradAttrs = Partial<SwiGLUAttrs> & { mayOverwrite?: boolean }
  defineCudaKernel<GradAttrs>('SwiGLUGrad', (call, { activation, mayOverwrite }) => {
    const [tokens, width] = call.sizes('gate')
    const gelu = isGelu(call, activation)
    const dy = call.floats('dy', tokens, width)
    const gate = call.floats('gate', tokens, width)
    const up = call.floats('up', tokens, width)
    const made = (over: string) =>
      mayOverwrite ? call.activationOver(over, tokens, width) : call.activation(tokens, width)
    const [dgate, dup] = [made('gate'), made('up')]
    call.addon.swigluGrad(tokens * width, gelu, dy, gate, up, dgate.handle, dup.handle)
    return [dgate.info, dup.info]
  })
}
