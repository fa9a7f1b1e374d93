import { currentBackend } from '@tunesmith/backend'
import { createProgress, formatDuration, type Progress, shown } from '@tunesmith/core'
import type { TrainerCallback, TrainPlan } from '../callbacks/events'

const gigabytes = (bytes: number) => `${(bytes / 2 ** 30).toFixed(1)} GB`
const count = (n: number) => n.toLocaleString('en-US')

/** What is about to happen, and on what. */
function summary(plan: TrainPlan): string[] {
  const backend = currentBackend()
  const portable = backend?.portableKernels.map((name) => name.replace('Tunesmith', '')) ?? []
  const share = ((100 * plan.trainableParameters) / plan.allParameters).toFixed(2)
  const { weights, gradients, optimizer, activations, total, available } = plan.memory
  const parts = { weights, gradients, optimizer, activations }
  return [
    `backend      ${backend?.name ?? '?'}: ${backend?.description ?? ''}`,
    ...(backend?.passedOver ?? []).map(({ name, reason }) => `             not ${name}: ${reason}`),
    `kernels      ${portable.length > 0 ? `portable: ${portable.join(', ')}` : 'all native'}`,
    `trainable    ${count(plan.trainableParameters)} of ${count(plan.allParameters)} parameters (${share}%)`,
    `data         ${count(plan.sequences)} sequences, ${count(plan.tokensPerEpoch)} tokens per epoch, ${count(plan.labelledTokensPerEpoch)} with a label`,
    ...(plan.config.packing
      ? [`packing      ${(100 * plan.packingEfficiency).toFixed(1)}% full rows of ${plan.config.maxLength} tokens`]
      : []),
    `memory       about ${gigabytes(total)} of ${gigabytes(available)} free: ${Object.entries(parts)
      .map(([name, bytes]) => `${name} ${gigabytes(bytes)}`)
      .join(', ')}`,
    ...(total > available ? ['warning: that is more memory than there is free'] : []),
    `steps        ${count(plan.totalSteps)}, ${count(plan.stepsPerEpoch)} per epoch`,
    ...(plan.resumedStep > 0 ? [`resumed      after step ${count(plan.resumedStep)}, from ${plan.resumedFrom}`] : []),
  ]
}

/** A summary at the start, then a progress bar in a terminal or plain lines elsewhere, on standard error. */
export function consoleReporter(stream: NodeJS.WriteStream = process.stderr): TrainerCallback {
  let bar: Progress | undefined
  let last = { loss: 0, speed: 0 }
  const note = () =>
    `loss ${last.loss.toFixed(4)}  ${Math.round(last.speed)} tok/s  ${gigabytes(process.memoryUsage.rss())}`
  // A line of its own, below the bar.
  const line = (text: string) => stream.write(`${stream.isTTY && bar ? '\n' : ''}${shown(text)}\n`)
  return {
    onTrainBegin(plan) {
      line(summary(plan).join('\n'))
      bar = createProgress({ label: 'train', total: plan.totalSteps, initial: plan.resumedStep, stream })
    },
    onStepEnd({ step, loss, tokensPerSecond }) {
      // An average that follows, so that the line can be read.
      last = { loss: last.loss === 0 ? loss : 0.9 * last.loss + 0.1 * loss, speed: tokensPerSecond }
      bar?.update(step, note())
    },
    onEvaluate(log) {
      const { step, evalLoss, evalPerplexity, evalRougeL, evalBleu, evalExactMatch } = log
      const more = Object.entries({ 'ROUGE-L': evalRougeL, BLEU: evalBleu, 'exact match': evalExactMatch })
        .filter(([, value]) => value !== undefined)
        .map(([name, value]) => `, ${name} ${value!.toFixed(4)}`)
      line(`eval at step ${step}: loss ${evalLoss.toFixed(4)}, perplexity ${evalPerplexity.toFixed(2)}${more.join('')}`)
    },
    onSave({ step, folder, seconds }) {
      line(`saved step ${step} in ${folder} (${formatDuration(seconds)})`)
    },
    onNotice({ level, message }) {
      line(level === 'warning' ? `warning: ${message}` : message)
    },
    onTrainEnd({ trainLoss, numTokens, trainRuntime, ended }) {
      const speed = `mean loss ${trainLoss.toFixed(4)}  ${Math.round(numTokens / trainRuntime)} tok/s`
      bar?.finish(ended === 'finished' ? speed : `${speed}  ${ended}`)
    },
  }
}
