import * as tf from '@tensorflow/tfjs-core'
import { gradNorm } from '@tunesmith/backend'
import { TunesmithError } from '@tunesmith/core'
import type { CausalLM } from '@tunesmith/models'
import type { PeftModel } from '@tunesmith/peft-lora'
import { nextWindow, plannedSteps, type TrainingRows, trainSampler } from './batches'
import type { SFTConfig } from './config'
import type { CallbackContext, EvalLog, TrainerCallback, TrainLog, TrainResult } from './events'
import { LogWindow } from './log-window'
import { forwardBackward, type LossSums } from './micro-batch'
import { createOptimizer, parameterGroups } from './optimizers'
import { createSchedule } from './schedules'

export interface TrainLoopOptions {
  model: CausalLM
  /** The adapter that is trained; without one, `parameters` are the model's own. */
  peft: PeftModel | undefined
  parameters: ReadonlyMap<string, tf.Variable>
  data: TrainingRows
  config: SFTConfig
  callbacks: readonly TrainerCallback[]
  context: CallbackContext
  evaluate: (step: number, epoch: number) => Promise<EvalLog>
  signal: AbortSignal | undefined
}

/** Dropout must differ between micro-batches and be the same when a run is repeated or resumed. */
const dropoutSeed = (seed: number, step: number, micro: number) =>
  (Math.imul(seed, 0x27d4eb2f) + step * 8191 + micro) | 0

/** The whole training, from the first batch to the last update. */
export async function trainLoop({
  model,
  peft,
  parameters,
  data,
  config,
  callbacks,
  context,
  evaluate,
  signal,
}: TrainLoopOptions): Promise<TrainResult> {
  const sampler = trainSampler(data, config)
  const { stepsPerEpoch, totalSteps } = plannedSteps(data.rows.length, config)
  const warmupSteps = config.warmupSteps > 0 ? config.warmupSteps : Math.ceil(config.warmupRatio * totalSteps)
  const evalEvery = config.evalStrategy === 'epoch' ? stepsPerEpoch : (config.evalSteps ?? config.loggingSteps)
  const optimizer = createOptimizer(config.optim, parameterGroups(parameters, config), {
    beta1: config.adamBeta1,
    beta2: config.adamBeta2,
    eps: config.adamEpsilon,
    args: config.optimArgs,
  })
  const schedule = createSchedule(config.lrSchedulerType, {
    warmupSteps,
    totalSteps,
    learningRate: config.learningRate,
    kwargs: config.lrSchedulerKwargs,
    greaterIsBetter: config.greaterIsBetter ?? false,
  })
  const logs: TrainLog[] = []
  const evals: EvalLog[] = []
  const window = new LogWindow()
  const start = performance.now()
  let totalLoss = 0

  try {
    for (let step = 1; step <= totalSteps; step++) {
      if (signal?.aborted)
        throw new TunesmithError(`Training was aborted before step ${step}`, { code: 'aborted', cause: signal.reason })

      // Every labelled token of the window weighs the same, whichever micro-batch it is in.
      const batches = nextWindow(sampler, data, config)
      const numItems = batches.reduce((sum, { numLabels }) => sum + numLabels, 0)
      if (numItems === 0) continue

      const grads = new Map<string, tf.Tensor>()
      const sums: LossSums[] = []
      for (const [micro, batch] of batches.entries()) {
        peft?.train(dropoutSeed(config.seed, step, micro))
        const made = forwardBackward(model, parameters, batch, numItems, config)
        sums.push(made.sums)
        for (const [name, grad] of made.grads) accumulate(grads, name, grad)
        // Between micro-batches the event loop runs: signals, servers, progress.
        await new Promise<void>((resolve) => setImmediate(resolve))
      }
      peft?.eval()

      const loss = sums.reduce((sum, micro) => sum + micro.loss, 0) / numItems
      const norm = gradNorm([...grads.values()])
      if (!Number.isFinite(loss) || !Number.isFinite(norm)) {
        tf.dispose([...grads.values()])
        throw new TunesmithError(`The loss is ${loss} and the gradient norm ${norm}`, {
          code: 'numerical',
          where: `step ${step}`,
          remedy: 'Lower the learning rate, and look at the rows of this step for broken text',
        })
      }
      const clip = config.maxGradNorm > 0 ? Math.min(1, config.maxGradNorm / (norm + 1e-6)) : 1
      const lr = config.learningRate * schedule.factor(step - 1)
      optimizer.step(grads, lr, clip)
      tf.dispose([...grads.values()])

      totalLoss += loss
      window.add(loss, norm, lr, sums)
      const epoch = step / stepsPerEpoch
      for (const callback of callbacks)
        await callback.onStepEnd?.({ step, totalSteps, loss, tokensPerSecond: window.tokensPerSecond() }, context)
      if (step % config.loggingSteps === 0 || step === totalSteps) {
        const log = window.take(step, epoch)
        logs.push(log)
        for (const callback of callbacks) await callback.onLog?.(log, context)
      }
      if (config.evalStrategy !== 'no' && (step % evalEvery === 0 || step === totalSteps)) {
        const log = await evaluate(step, epoch)
        evals.push(log)
        for (const callback of callbacks) await callback.onEvaluate?.(log, context)
      }
    }
  } finally {
    peft?.eval()
    optimizer.dispose()
  }
  const trainRuntime = (performance.now() - start) / 1000
  return {
    steps: totalSteps,
    trainLoss: totalLoss / totalSteps,
    trainRuntime,
    numTokens: window.numTokens,
    logs,
    evals,
    ended: 'finished',
    lastCheckpoint: undefined,
    bestCheckpoint: undefined,
    skippedSteps: 0,
  }
}

function accumulate(grads: Map<string, tf.Tensor>, name: string, grad: tf.Tensor): void {
  const sum = grads.get(name)
  if (!sum) {
    grads.set(name, grad)
    return
  }
  grads.set(name, tf.add(sum, grad))
  sum.dispose()
  grad.dispose()
}
