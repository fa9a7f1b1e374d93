import * as tf from '@tensorflow/tfjs-core'
import { ADAMW_8BIT_BLOCK_SIZE, ADAMW_MIN_8BIT_SIZE, adamW8bitSteps, adamWSteps } from '@tunesmith/backend'
import { DYNAMIC_MAP_SIGNED, DYNAMIC_MAP_UNSIGNED } from '@tunesmith/quantization'
import type { AdamWOptions } from './adamw'
import type { Optimizer, ParameterGroup } from './optimizer'
import { perParameterOptimizer } from './per-parameter'
import type { StateTensor } from './state-tensors'

/** transformers tells bitsandbytes to keep the moments of embedding weights in 32 bits. */
const EMBEDDING = /(^|\.)embed_tokens(\.modules_to_save)?\.weight$/

type Key = 'state1' | 'state2' | 'absmax1' | 'absmax2'

const scales = (size: number): StateTensor => ({ dtype: 'F32', shape: [Math.ceil(size / ADAMW_8BIT_BLOCK_SIZE)] })

/**
 * AdamW with both moments in 8 bits, 256 elements to a scale: bitsandbytes' `AdamW8bit` (Dettmers et al. 2021).
 *
 * As there, parameters under 4,096 elements and embedding weights keep float32 moments.
 */
export function adamW8bit(
  groups: readonly ParameterGroup[],
  { pageable = false, ...options }: AdamWOptions,
): Optimizer {
  let maps: { qmap1: tf.Tensor; qmap2: tf.Tensor } | undefined
  const optimizer = perParameterOptimizer<Key>({
    groups,
    pageable,
    layout(name, { shape, size }) {
      if (size < ADAMW_MIN_8BIT_SIZE || EMBEDDING.test(name))
        return { state1: { dtype: 'F32', shape }, state2: { dtype: 'F32', shape } }
      return {
        state1: { dtype: 'U8', shape, initial: DYNAMIC_MAP_SIGNED.indexOf(0) },
        state2: { dtype: 'U8', shape, initial: DYNAMIC_MAP_UNSIGNED.indexOf(0) },
        absmax1: scales(size),
        absmax2: scales(size),
      }
    },
    updateGroup(parameters, settings) {
      const attrs = { ...options, ...settings }
      const [small, large] = [parameters.filter((p) => !p.state.absmax1), parameters.filter((p) => p.state.absmax1)]
      const plain = small.map(({ state: { state1, state2 }, ...rest }) => ({
        ...rest,
        expAvg: state1,
        expAvgSq: state2,
      }))
      adamWSteps(plain, attrs)
      if (large.length === 0) return
      maps ??= {
        qmap1: tf.keep(tf.tensor1d(DYNAMIC_MAP_SIGNED)),
        qmap2: tf.keep(tf.tensor1d(DYNAMIC_MAP_UNSIGNED)),
      }
      const { qmap1, qmap2 } = maps
      adamW8bitSteps(
        large.map(({ state, ...rest }) => ({ ...rest, state: { ...state, qmap1, qmap2 } })),
        attrs,
      )
    },
  })
  return {
    ...optimizer,
    dispose() {
      optimizer.dispose()
      if (maps) tf.dispose([maps.qmap1, maps.qmap2])
      maps = undefined
    },
  }
}
