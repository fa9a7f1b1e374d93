import type * as tf from '@tensorflow/tfjs-core'
import { invalidOptions, samePlace, withFolderLock } from '@tunesmith/core'
import { type CausalLM, makeTrainable } from '@tunesmith/models'
import { getPeftModel, type PeftConfigOptions, PeftModel } from '@tunesmith/peft-lora'
import type { Tokenizer } from '@tunesmith/tokenization'
import type { EvalLog, TrainerCallback, TrainResult } from './callbacks/events'
import { checkConfig } from './check-config'
import { findResumePoint } from './checkpoints/keeper'
import { loadParameters } from './checkpoints/load'
import { readForResume, restoreRun } from './checkpoints/resume'
import { saveTrained } from './checkpoints/save-trained'
import type { TrainingConfig } from './config'
import { type BatchRows, dataDigest } from './data/batches'
import { checkLoaded, type TrainingData, type TrainingRows, trainingData } from './data/check-inputs'
import type { FormattingFunc } from './data/prepare'
import {
  type ComputeMetrics,
  type GenerationMetrics,
  generationMetricsOf,
} from './generation-metrics/generation-metrics'
import { createRun, optimizerOf, scheduleOf } from './loop/create-run'
import { evaluateLoss } from './loop/evaluate'
import { Interrupt } from './loop/interrupt'
import type { Objective } from './loop/objective'
import { newRunState } from './loop/run-state'
import { trainLoop } from './loop/train-loop'
import type { TrainRun } from './loop/train-run'
import { explainOutOfMemory } from './plan/memory'
import { startNotices } from './plan/notices'
import { memoryInputs, trainPlan } from './plan/plan'

/** What every trainer takes. */
export interface TrainerOptions {
  /** A base model, or one that already has an adapter to go on with. */
  model: CausalLM | PeftModel
  /** Rows in any known format, or examples already tokenized. */
  trainDataset: TrainingData
  evalDataset?: TrainingData
  /** Needed unless all datasets are tokenized. */
  tokenizer?: Tokenizer
  /** Puts a new adapter on `model`. Without one, and without an adapter, the weights themselves are trained. */
  peftConfig?: PeftConfigOptions
  /** Scores answers to evaluation prompts, beside `generationMetrics`; asks for them even without `predictWithGenerate`. */
  computeMetrics?: ComputeMetrics
  /** Called beside the reporters. */
  callbacks?: readonly TrainerCallback[]
}

/** What one way of training adds to {@link Trainer}. */
export interface Method<Config extends TrainingConfig> {
  config: Config
  /** Called when the model has its adapter. */
  objective: (model: CausalLM, peft: PeftModel | undefined, parameters: ReadonlyMap<string, tf.Variable>) => Objective
  /** Makes evaluation rows prompts and references, for answers. */
  formattingFunc?: FormattingFunc | undefined
}

export interface TrainOptions {
  /** Ends training before the next step with an error, without saving. See {@link Trainer.interrupt} for the other way. */
  signal?: AbortSignal
  /** Goes before `resumeFromCheckpoint` in the config. */
  resumeFromCheckpoint?: boolean | string
}

/**
 * A training: rows in, adapter (or model) out. What is minimised is the business of a {@link Method}; the loop, checkpoints, reporters
 * and evaluations are these for all of them.
 */
export class Trainer<Config extends TrainingConfig = TrainingConfig> {
  readonly config: Config
  readonly model: CausalLM
  readonly peft: PeftModel | undefined
  /** What is trained, by name. */
  readonly parameters: ReadonlyMap<string, tf.Variable>
  readonly #options: TrainerOptions
  readonly #trainDataset: TrainingRows
  readonly #evalDataset: TrainingRows | undefined
  readonly #interrupt = new Interrupt()
  readonly #generation: GenerationMetrics | undefined
  readonly #objective: Objective
  #evalData: BatchRows | undefined
  /** Of the training done so far: where a later evaluation stands. */
  #state = newRunState()

  /**
   * @param method makes the checked configuration and the objective.
   * @throws {TunesmithError} `invalid_options`, before anything is computed.
   */
  constructor(options: TrainerOptions, method: () => Method<Config>) {
    this.#options = options
    checkLoaded(options)
    this.#trainDataset = trainingData(options.trainDataset, 'trainDataset')
    this.#evalDataset = options.evalDataset && trainingData(options.evalDataset, 'evalDataset')
    const { config, objective, formattingFunc } = method()
    this.config = config
    checkConfig(this.config, options)
    scheduleOf(this.config, 1)
    this.#generation = generationMetricsOf({ ...options, formattingFunc, evalDataset: this.#evalDataset }, this.config)
    const { model, peftConfig } = options
    if (model instanceof PeftModel) {
      if (peftConfig)
        throw invalidOptions('The model already has an adapter', {
          where: 'peftConfig',
          remedy: 'Leave peftConfig out to go on training it, or pass the base model',
        })
      this.peft = model
    } else if (peftConfig) this.peft = getPeftModel(model, peftConfig, { seed: this.config.seed })
    this.model = model instanceof PeftModel ? model.model : model
    this.parameters = this.peft ? this.peft.parameters() : makeTrainable(this.model, this.config.trainableModules)
    this.#objective = objective(this.model, this.peft, this.parameters)
    optimizerOf(this.config, this.parameters).dispose()
  }

  /**
   * Asks a running {@link train} to finish its micro-batch, save a checkpoint and return, as SIGTERM does. Its result
   * then has `ended: 'interrupted'`.
   */
  interrupt(): void {
    this.#interrupt.request()
  }

  /**
   * Trains to the end, or until a callback or a signal ends it.
   *
   * @throws {TunesmithError} `numerical` after `maxNonFiniteSteps` steps that could not be made, `out_of_memory` with the
   *   settings to change, `aborted` when the signal fires. The weights are then as after the last whole step. `io` before anything
   *   is computed when `outputDir` cannot be written, or another training is at work in it.
   */
  async train(options: TrainOptions = {}): Promise<TrainResult> {
    const { outputDir } = this.config
    const { nameOrPath } = this.model
    if (nameOrPath !== undefined && (await samePlace(outputDir, nameOrPath)))
      throw invalidOptions('The output would go into the folder of the model', {
        where: `outputDir ${outputDir}`,
        remedy: 'Choose another folder',
      })
    const notices: string[] = []
    return withFolderLock(
      outputDir,
      () => this.#train(options, notices),
      (message) => notices.push(message),
    )
  }

  async #train({ signal, resumeFromCheckpoint }: TrainOptions, taken: readonly string[]): Promise<TrainResult> {
    const { config, model, peft, parameters } = this
    const { tokenizer, callbacks = [] } = this.#options
    const start = performance.now()

    const objective = this.#objective
    const prepared = await objective.prepare(this.#trainDataset, 'train', signal)
    const { data } = prepared
    if (objective.preparesBoth && this.#evalDataset) await this.#evalRows(signal)
    const digest = await dataDigest(data)
    const resume = await findResumePoint(config.outputDir, resumeFromCheckpoint ?? config.resumeFromCheckpoint)
    const resumed = resume.folder ? await readForResume(resume.folder, config, digest) : undefined
    const evaluate = (run: TrainRun) => this.#evaluate(run, (warning) => run.emitter.notice(warning, 'warning'))
    const interrupt = this.#interrupt
    const parts = { config, model, peft, parameters, tokenizer, objective, interrupt, signal, dataDigest: digest }
    const run = createRun(parts, data, resumed, { start, callbacks, evaluate })
    const { state, emitter } = run
    this.#state = state
    const memory = memoryInputs(run, data)

    try {
      if (resumed) await restoreRun(resumed, run)
      interrupt.listen((reason) => void emitter.notice(interruptMessage(reason, run)), {
        signals: config.saveOnSignal,
      })
      await emitter.emit('onTrainBegin', trainPlan(run, data, memory, resume.folder))
      for (const message of taken) await emitter.notice(message, 'warning')
      for (const { message, level } of [...resume.notices, ...(resumed?.notices ?? [])])
        await emitter.notice(message, level)
      for (const { message, level } of startNotices(prepared, memory, tokenizer)) await emitter.notice(message, level)

      const ended = await trainLoop(run)

      if (config.loadBestModelAtEnd && ended !== 'interrupted' && state.bestModelCheckpoint) {
        await loadParameters(state.bestModelCheckpoint, parameters)
        await emitter.notice(`the weights are those of the best checkpoint, ${state.bestModelCheckpoint}`)
      }
      const result = trainResult(run, ended)
      await emitter.emit('onTrainEnd', result)
      return result
    } catch (error) {
      const explained = explainOutOfMemory(error, memory)
      // What fails in here must not hide why training ended.
      await emitter.emit('onTrainError', { error: explained as Error }).catch(() => {})
      throw explained
    } finally {
      interrupt.stop()
      run.optimizer.dispose()
    }
  }

  async #evaluate(
    { state, interrupt }: Pick<TrainRun, 'state' | 'interrupt'>,
    say: (warning: string) => void | Promise<void>,
  ): Promise<EvalLog | undefined> {
    const start = performance.now()
    const step = state.globalStep
    const stopped = () => interrupt.reason !== undefined
    const data = await this.#evalRows()
    const metrics = await evaluateLoss(this.#objective, data, this.config, stopped)
    const answers = metrics && (await this.#generation?.run(this.model, { step, stopped }))
    if (!metrics || (this.#generation && !answers)) return undefined
    if (answers?.notice) await say(answers.notice)
    return {
      step,
      epoch: state.epoch,
      ...metrics,
      ...answers?.metrics,
      evalNumTokens: state.numTokens,
      evalRuntime: (performance.now() - start) / 1000,
    }
  }

  async #evalRows(signal?: AbortSignal): Promise<BatchRows> {
    const evalDataset = this.#evalDataset
    if (!evalDataset)
      throw invalidOptions('There is no evaluation data', {
        where: this.constructor.name,
        remedy: 'Pass `evalDataset`, or set evalStrategy to "no"',
      })
    this.#evalData ??= (await this.#objective.prepare(evalDataset, 'eval', signal)).data
    return this.#evalData
  }

  /** Loss, perplexity and, where asked for, generation metrics on `evalDataset`, of the weights as they are. */
  async evaluate(): Promise<EvalLog> {
    const run = { state: this.#state, interrupt: new Interrupt() }
    const log = await this.#evaluate(run, (warning) => console.warn(warning))
    return log!
  }

  /** Saves the adapter in PEFT's layout, or the whole model when there is none. */
  async saveModel(folder = this.config.outputDir): Promise<void> {
    const { model, peft } = this
    await saveTrained(folder, { model, peft, tokenizer: this.#options.tokenizer })
  }
}

function trainResult({ state, seconds, interrupt }: TrainRun, ended: TrainResult['ended']): TrainResult {
  return {
    steps: state.globalStep,
    trainLoss: state.totalLoss / Math.max(1, state.lossCount),
    trainRuntime: seconds(),
    numTokens: state.numTokens,
    logs: state.logs,
    evals: state.evals,
    ended,
    interruptedBy: interrupt.reason,
    lastCheckpoint: state.lastCheckpoint,
    bestCheckpoint: state.bestModelCheckpoint,
    skippedSteps: state.skippedSteps,
  }
}

function interruptMessage(reason: string, { state, saveSeconds }: TrainRun): string {
  const took = saveSeconds > 0 ? ` (the last save took ${saveSeconds.toFixed(1)} s)` : ''
  const what = reason === 'request' ? 'interrupted' : reason
  return `${what}: finishing the micro-batch, then saving checkpoint-${state.globalStep}${took}`
}
