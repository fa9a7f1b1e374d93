import { currentBackend } from '@tunesmith/backend'
import { createProgress, type Progress } from '@tunesmith/core'
import type { TrainerCallback } from '../events'

const gigabytes = (bytes: number) => `${(bytes / 2 ** 30).toFixed(1)} GB`
const count = (n: number) => n.toLocaleString('en-US')

/** A summary at the start, then a progress bar in a terminal or plain lines elsewhere, on standard error. */
export function consoleReporter(stream: NodeJS.WriteStream = process.stderr): TrainerCallback {
  let bar: Progress
  let last = { loss: 0, speed: 0 }
  const note = () =>
    `loss ${last.loss.toFixed(4)}  ${Math.round(last.speed)} tok/s  ${gigabytes(process.memoryUsage.rss())}`
  return {
    onTrainBegin(plan) {
      const backend = currentBackend()
      const share = ((100 * plan.trainableParameters) / plan.allParameters).toFixed(2)
      const lines = [
        `backend      ${backend?.name ?? '?'}: ${backend?.description ?? ''}, float32 arithmetic`,
        ...(backend?.passedOver ?? []).map(({ name, reason }) => `             not ${name}: ${reason}`),
        `kernels      ${backend?.portableKernels.length ? `portable: ${backend.portableKernels.map((name) => name.replace('Tunesmith', '')).join(', ')}` : 'all native'}`,
        `trainable    ${count(plan.trainableParameters)} of ${count(plan.allParameters)} parameters (${share}%)`,
        `data         ${count(plan.sequences)} sequences, ${count(plan.tokensPerEpoch)} tokens per epoch, ${count(plan.labelledTokensPerEpoch)} with a label`,
        ...(plan.config.packing
          ? [`packing      ${(100 * plan.packingEfficiency).toFixed(1)}% full rows of ${plan.config.maxLength} tokens`]
          : []),
        `steps        ${count(plan.totalSteps)}, ${count(plan.stepsPerEpoch)} per epoch`,
      ]
      stream.write(`${lines.join('\n')}\n`)
      bar = createProgress({ label: 'train', total: plan.totalSteps, stream })
    },
    onStepEnd({ step, loss, tokensPerSecond }) {
      // An average that follows, so that the line can be read.
      last = { loss: last.loss === 0 ? loss : 0.9 * last.loss + 0.1 * loss, speed: tokensPerSecond }
      bar.update(step, note())
    },
    onEvaluate({ step, evalLoss, evalPerplexity }) {
      stream.write(
        `${stream.isTTY ? '\n' : ''}eval at step ${step}: loss ${evalLoss.toFixed(4)}, perplexity ${evalPerplexity.toFixed(2)}\n`,
      )
    },
    onTrainEnd({ trainLoss, numTokens, trainRuntime }) {
      bar.finish(`mean loss ${trainLoss.toFixed(4)}  ${Math.round(numTokens / trainRuntime)} tok/s`)
    },
  }
}
