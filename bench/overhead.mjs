/**
 * What a step of the trainer costs outside kernels, and whether memory stays flat. The first row is a LoRA step of
 * TinyLlama-1.1B's shape at 512 tokens (random bf16 weights, r = 16 on q_proj and v_proj, all of SFTTrainer with console
 * output and log file): the share of its time not spent in the native addon, against the 3% it may cost. The second is the
 * growth of resident memory over 500 steps of a small model, after as many before, against the 16 MB that are taken for noise.
 *
 * `--layers=4` makes the first model smaller, which makes the share larger: the head stays, the steps get shorter.
 */
import { startWorker } from './lib/index.mjs'

const LIMIT_SHARE = 3
const LIMIT_GROWTH = 16

export async function run({ rounds = 5, layers = 22, steps = 500 } = {}) {
  const worker = startWorker(process.execPath, ['--expose-gc', new URL('overhead.ours.mjs', import.meta.url)])
  const shares = await worker.call({ call: 'overhead', layers, steps: rounds })
  const { growth } = await worker.call({ call: 'growth', steps })
  worker.close()
  const row = (name, ours, peer, unit) => ({ case: name, ours, peer, ratio: peer / Math.max(ours, 1e-9), unit })
  const seconds = `of ${shares.seconds.toFixed(2)} s`
  return {
    rows: [
      row(`outside kernels, ${layers} layers, median step ${seconds}`, shares.percent, LIMIT_SHARE, '% of a step'),
      row(`growth of resident memory over ${steps} steps`, growth / 2 ** 20, LIMIT_GROWTH, 'MB'),
    ],
  }
}
