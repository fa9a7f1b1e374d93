import * as tf from '@tensorflow/tfjs-core'
import { gradNorm } from '@tunesmith/backend'
import { TunesmithError } from '@tunesmith/core'
import type { TrainResult } from '../callbacks/events'
import { saveAndRotate } from '../checkpoints/keeper'
import { isBetter, metricValue } from './best-metric'
import { forwardBackward } from './micro-batch'
import { mustHaveUpdates, reportNonFinite } from './non-finite'
import type { MicroSums } from './objective'
import type { TrainRun } from './train-run'

/** Dropout and noise must differ between micro-batches and be the same when a run is repeated or resumed. */
const microSeed = (seed: number, step: number, micro: number) => (Math.imul(seed, 0x27d4eb2f) + step * 8191 + micro) | 0

/** The whole training, from the first batch (or where the checkpoint was) to the last update. */
export async function trainLoop(run: TrainRun): Promise<TrainResult['ended']> {
  const grads = new Map<string, tf.Tensor>()
  try {
    return await stepByStep(run, grads)
  } finally {
    // Of a step that failed: whoever catches the error may want to train with less memory.
    tf.dispose([...grads.values()])
  }
}

/** @param grads those of the step in work; empty between steps. */
async function stepByStep(run: TrainRun, grads: Map<string, tf.Tensor>): Promise<TrainResult['ended']> {
  const { config, objective, peft, parameters, stream, optimizer, schedule, scaler } = run
  const { state, control, window, totalSteps, interrupt } = run
  const { emit } = run.emitter

  for (;;) {
    // What the last step asked for. A checkpoint keeps these wishes, so that a resumed run begins with those not yet met.
    if (control.shouldLog) {
      control.shouldLog = false
      const { globalStep: step, epoch, numTokens, skippedSteps } = state
      const lossScale = scaler.enabled ? { lossScale: scaler.scale } : {}
      const log = { step, epoch, ...window.take(), numTokens, skippedSteps, ...lossScale }
      state.logs.push(log)
      state.logHistory.push(log)
      await emit('onLog', log)
      const warning = objective.watch?.(state.logs)
      if (warning !== undefined) await run.emitter.notice(warning, 'warning')
    }
    if (control.shouldEvaluate && !interrupt.reason) {
      const log = await run.evaluate()
      if (log) {
        control.shouldEvaluate = false
        state.evals.push(log)
        state.logHistory.push(log)
        const metric = metricValue(log, config)
        schedule.onMetric?.(metric)
        await emit('onEvaluate', log)
        if (isBetter(metric, state.bestMetric, config)) {
          state.bestMetric = metric
          state.bestGlobalStep = state.globalStep
          if (config.saveStrategy === 'best' || config.loadBestModelAtEnd) control.shouldSave = true
        }
      }
      window.restartClock()
    }
    if (control.shouldSave || interrupt.reason) {
      control.shouldSave = false
      await saveAndRotate(run)
      window.restartClock()
    }
    if (interrupt.reason) return 'interrupted'
    if (state.globalStep >= totalSteps) {
      mustHaveUpdates(state)
      return 'finished'
    }
    if (control.shouldTrainingStop) return 'stopped'
    if (run.signal?.aborted)
      throw new TunesmithError(`Training was aborted before step ${state.globalStep + 1}`, {
        code: 'aborted',
        cause: run.signal.reason,
      })

    // The next step: its micro-batches, forward and backward.
    const step = state.globalStep + 1
    if (stream.atEpochEnd || step === 1) await emit('onEpochBegin', { epoch: Math.floor(state.epoch) })
    await emit('onStepBegin', { step })
    const micros = stream.nextWindow()
    // Every item of the window weighs the same, whichever micro-batch it is in.
    const numItems = micros.reduce((sum, { batch }) => sum + objective.items(batch), 0)
    const weight = scaler.scale / Math.max(1, numItems)
    // transformers adds an adapter's own loss once per micro-batch; here its weight does not grow with accumulation.
    const extra = peft && { loss: () => peft.auxiliaryLoss(), weight: scaler.scale / micros.length }
    const sums: MicroSums[] = []
    for (const [micro, { batch }] of micros.entries()) {
      await objective.before?.(batch)
      const seed = microSeed(config.seed, step, micro)
      const made = forwardBackward(objective, parameters, batch, weight, seed, extra)
      sums.push(made.sums)
      for (const [name, grad] of made.grads) accumulate(grads, name, grad)
      // Between micro-batches the event loop runs: signals, servers, progress.
      await new Promise<void>((resolve) => setImmediate(resolve))
      if (micro + 1 === micros.length || interrupt.reason) break
      await emit('onSubstepEnd', { step, micro })
    }
    // An interrupted window is thrown away and made again after the resume, so that it is the same to the last bit.
    if (sums.length < micros.length) {
      tf.dispose([...grads.values()])
      grads.clear()
      continue
    }

    // The update, unless something is not a number.
    const total = (key: 'loss' | 'auxiliary') => sums.reduce((sum, micro) => sum + micro[key], 0)
    const loss = total('loss') / Math.max(1, numItems) + total('auxiliary') / micros.length
    const norm = gradNorm([...grads.values()]) / scaler.scale
    const finite = Number.isFinite(loss) && Number.isFinite(norm)
    const lr = config.learningRate * schedule.factor(state.updates)
    if (finite && numItems > 0) {
      const clip = config.maxGradNorm > 0 ? Math.min(1, config.maxGradNorm / (norm + 1e-6)) : 1
      await emit('onPreOptimizerStep', { step, gradNorm: norm })
      optimizer.step(grads, lr, clip / scaler.scale)
      peft?.afterOptimizerStep(step, totalSteps, grads, clip / scaler.scale)
      state.updates++
      state.totalLoss += loss
      state.lossCount++
      window.addStep(loss, norm, lr)
    } else if (!finite) {
      state.skippedSteps++
      const overflow = Number.isFinite(loss) && scaler.canBackOff
      if (!overflow) await reportNonFinite(run, { loss, norm, sums, micros })
    }
    if (finite) state.nonFiniteInARow = 0
    scaler.update(!finite)
    tf.dispose([...grads.values()])
    grads.clear()

    // What is now known, and what is due.
    for (const [i, sum] of sums.entries()) {
      state.numTokens += sum.tokens
      window.addMicroBatch(sum, objective.metrics(sum), micros[i]!.rows, micros[i]!.batch.cuSeqlens.length - 1)
    }
    state.globalStep = step
    state.epoch = stream.epoch
    run.position = stream.state()
    const last = step === totalSteps
    const every = (steps: number) => step % steps === 0 || last
    if (every(config.loggingSteps) || (step === 1 && config.loggingFirstStep)) control.shouldLog = true
    if (config.evalStrategy === 'steps' && every(config.evalSteps ?? config.loggingSteps)) control.shouldEvaluate = true
    if (config.saveStrategy === 'steps' && every(config.saveSteps)) control.shouldSave = true
    await emit('onStepEnd', { step, totalSteps, loss, tokensPerSecond: window.tokensPerSecond() })
    if (control.shouldEpochStop) {
      control.shouldEpochStop = false
      stream.endEpoch()
      run.position = stream.state()
    }
    if (stream.atEpochEnd || last) {
      if (config.evalStrategy === 'epoch') control.shouldEvaluate = true
      if (config.saveStrategy === 'epoch') control.shouldSave = true
      await emit('onEpochEnd', { epoch: state.epoch })
    }
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
