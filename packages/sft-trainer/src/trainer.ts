import type * as tf from '@tensorflow/tfjs-core'
import { currentBackend } from '@tunesmith/backend'
import { TunesmithError } from '@tunesmith/core'
import type { Dataset, TokenizedExample } from '@tunesmith/datasets'
import { type CausalLM, type ComputeLoss, makeTrainable, savePretrained } from '@tunesmith/models'
import { getPeftModel, type PeftConfigOptions, PeftModel, savePeftModel } from '@tunesmith/peft-lora'
import type { Tokenizer } from '@tunesmith/tokenization'
import { createEmitter } from './callbacks/emitter'
import type { EvalLog, TrainerCallback, TrainPlan, TrainResult } from './callbacks/events'
import { CheckpointKeeper, findResumePoint } from './checkpoints/keeper'
import { loadParameters } from './checkpoints/load'
import { readForResume, restoreRun } from './checkpoints/resume'
import { type SFTConfig, type SFTConfigOptions, sftConfig } from './config'
import { type BatchRows, batchRows, createBatchStream, dataDigest } from './data/batches'
import { type FormattingFunc, type PreparedData, prepareDataset, prepareTokenized } from './data/prepare'
import { type ComputeMetrics, type GenerationMetrics, generationMetricsOf } from './generation-metrics'
import { greaterIsBetter } from './loop/best-metric'
import { evaluateLoss } from './loop/evaluate'
import { GradScaler } from './loop/grad-scaler'
import { checkConfig, dataNotices } from './loop/guards'
import { Interrupt } from './loop/interrupt'
import { LogWindow } from './loop/log-window'
import { checkComputeLoss, type Objective, sftObjective } from './loop/objective'
import { newRunState, noControl, type SavedRun } from './loop/run-state'
import { type TrainRun, trainLoop } from './loop/train-loop'
import { createOptimizer, type Optimizer, parameterGroups } from './optimizers'
import { estimateMemory, explainOutOfMemory, memoryNotices } from './plan/memory'
import { largestMicroBatch, movingNotice, plannedSteps, precisionNotice, warmupStepsOf } from './plan/plan'
import { createReporter } from './reporters'
import { createSchedule, type Schedule } from './schedules'

type TrainingData = Dataset | readonly TokenizedExample[]

export interface SFTTrainerOptions {
  /** A base model, or one that already has an adapter to go on with. */
  model: CausalLM | PeftModel
  args: SFTConfigOptions
  /** Rows in any known format, or examples already tokenized. */
  trainDataset: TrainingData
  evalDataset?: TrainingData
  /** Needed unless all datasets are tokenized. */
  tokenizer?: Tokenizer
  /** Puts a new adapter on `model`. Without one, and without an adapter, the weights themselves are trained. */
  peftConfig?: PeftConfigOptions
  formattingFunc?: FormattingFunc
  /**
   * The loss of each labelled token, in the place of `lossType` and `labelSmoothingFactor`: logits `[rows, vocab]` of some rows and
   * their labels int32 `[rows]` to `[rows]`, in differentiable TensorFlow.js operations. Called several times per micro-batch.
   */
  computeLoss?: ComputeLoss
  /** Scores answers to evaluation prompts, beside `generationMetrics`; asks for them even without `predictWithGenerate`. */
  computeMetrics?: ComputeMetrics
  /** Called beside the reporters. */
  callbacks?: readonly TrainerCallback[]
}

export interface TrainOptions {
  /** Ends training before the next step with an error, without saving. See {@link SFTTrainer.interrupt} for the other way. */
  signal?: AbortSignal
  /** Goes before `resumeFromCheckpoint` in the config. */
  resumeFromCheckpoint?: boolean | string
}

/**
 * Supervised fine-tuning, TRL's SFTTrainer: rows in, adapter (or model) out.
 */
export class SFTTrainer {
  readonly config: SFTConfig
  readonly model: CausalLM
  readonly peft: PeftModel | undefined
  /** What is trained, by name. */
  readonly parameters: ReadonlyMap<string, tf.Variable>
  readonly #options: SFTTrainerOptions
  readonly #interrupt = new Interrupt()
  readonly #generation: GenerationMetrics | undefined
  readonly #objective: Objective
  #evalData: BatchRows | undefined
  /** Of the training done so far: where a later evaluation stands. */
  #state = newRunState()

  /** @throws {TunesmithError} `invalid_options`, before anything is computed. */
  constructor(options: SFTTrainerOptions) {
    this.#options = options
    this.config = sftConfig(options.args)
    checkConfig(this.config, { hasEvalDataset: options.evalDataset !== undefined })
    checkComputeLoss(options.computeLoss, this.config)
    this.#schedule(1)
    this.#generation = generationMetricsOf(options, this.config)
    const { model, peftConfig } = options
    if (model instanceof PeftModel) {
      if (peftConfig)
        throw new TunesmithError('The model already has an adapter', {
          code: 'invalid_options',
          where: 'peftConfig',
          remedy: 'Leave peftConfig out to go on training it, or pass the base model',
        })
      this.peft = model
    } else if (peftConfig) this.peft = getPeftModel(model, peftConfig, { seed: this.config.seed })
    this.model = model instanceof PeftModel ? model.model : model
    this.#objective = sftObjective(this.model, this.config, options.computeLoss)
    this.parameters = this.peft ? this.peft.parameters() : makeTrainable(this.model, this.config.trainableModules)
    this.#optimizer().dispose()
  }

  #schedule(totalSteps: number): Schedule {
    const { config } = this
    return createSchedule(config.lrSchedulerType, {
      warmupSteps: warmupStepsOf(totalSteps, config),
      totalSteps,
      learningRate: config.learningRate,
      kwargs: config.lrSchedulerKwargs,
      greaterIsBetter: greaterIsBetter(config),
    })
  }

  #optimizer(): Optimizer {
    const { optim, adamBeta1, adamBeta2, adamEpsilon, optimArgs } = this.config
    return createOptimizer(optim, parameterGroups(this.parameters, this.config), {
      beta1: adamBeta1,
      beta2: adamBeta2,
      eps: adamEpsilon,
      args: optimArgs,
    })
  }

  async #prepare(dataset: TrainingData, packing: boolean, signal?: AbortSignal): Promise<PreparedData> {
    if (Array.isArray(dataset)) return prepareTokenized(dataset, this.config, packing)
    const { tokenizer, formattingFunc } = this.#options
    if (!tokenizer)
      throw new TunesmithError('Rows of text need a tokenizer', {
        code: 'invalid_options',
        where: 'SFTTrainer',
        remedy: 'Pass `tokenizer`',
      })
    return prepareDataset(dataset as Dataset, tokenizer, this.config, { formattingFunc, packing, signal })
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
   *   settings to change, `aborted` when the signal fires. The weights are then as after the last whole step.
   */
  async train({ signal, resumeFromCheckpoint }: TrainOptions = {}): Promise<TrainResult> {
    const { config, model, peft, parameters } = this
    const { callbacks = [], tokenizer } = this.#options
    const start = performance.now()

    // The data, and the checkpoint to go on from.
    const prepared = await this.#prepare(this.#options.trainDataset, config.packing, signal)
    const data = await batchRows(prepared.examples, config)
    const digest = await dataDigest(data)
    const resume = await findResumePoint(config.outputDir, resumeFromCheckpoint ?? config.resumeFromCheckpoint)
    const resumed = resume.folder ? await readForResume(resume.folder, config, digest) : undefined

    // The parts of the run.
    const state = resumed?.state ?? newRunState()
    this.#state = state
    const control = resumed?.control ?? { ...noControl(), shouldEvaluate: config.evalOnStart }
    const reporters = config.reportTo.map((name) => createReporter(name, config))
    const emitter = createEmitter(reporters, callbacks, { config, state, control })
    const keeper = new CheckpointKeeper(config, emitter)
    const stream = createBatchStream(data, config, resumed?.saved.stream)
    const totalSteps = plannedSteps(stream.stepsPerEpoch, config)
    state.maxSteps = totalSteps
    const optimizer = this.#optimizer()
    const memory = {
      model,
      parameters,
      config,
      optimizerBytes: optimizer.bytes(),
      tokensPerMicroBatch: largestMicroBatch(data, config),
    }
    const run: TrainRun = {
      ...{ config, peft, parameters, stream, optimizer, state, control, totalSteps, emitter, signal },
      objective: this.#objective,
      schedule: this.#schedule(totalSteps),
      scaler: new GradScaler(config.fp16),
      window: new LogWindow(),
      position: stream.state(),
      interrupt: this.#interrupt,
      evaluate: () => this.#evaluate(run, (warning) => emitter.notice(warning, 'warning')),
      save: () =>
        keeper.save(state, () => ({
          ...{ model, peft, parameters, tokenizer, optimizer, config },
          saved: savedRun(),
        })),
    }
    const secondsSoFar = () => (resumed?.state.secondsBefore ?? 0) + (performance.now() - start) / 1000
    const savedRun = (): SavedRun => ({
      run: { ...state, logHistory: [], secondsBefore: secondsSoFar() } as SavedRun['run'],
      control,
      stream: run.position,
      window: run.window.state(),
      scaler: run.scaler.state(),
      schedule: run.schedule.state(),
      optim: config.optim,
      optimizer: optimizer.scalars(),
      callbacks: Object.fromEntries(
        emitter.callbacks.flatMap(({ name, state }) => (name && state ? [[name, state()]] : [])),
      ),
      dataDigest: digest,
      seed: config.seed,
    })

    try {
      if (resumed) await restoreRun(resumed, run)
      const trainableParameters = [...parameters.values()].reduce((sum, { size }) => sum + size, 0)
      const plan: TrainPlan = {
        config,
        totalSteps,
        stepsPerEpoch: stream.stepsPerEpoch,
        sequences: data.sequences,
        tokensPerEpoch: data.tokens,
        labelledTokensPerEpoch: data.labelledTokens,
        packingEfficiency: data.efficiency,
        trainableParameters,
        allParameters: peft?.parameterCounts().all ?? model.parameterCount(),
        memory: estimateMemory(memory),
        resumedStep: state.globalStep,
        resumedFrom: resume.folder,
      }
      this.#interrupt.listen(
        (reason) => void emitter.notice(interruptMessage(reason, state.globalStep, keeper.lastSeconds)),
        { signals: config.saveOnSignal },
      )
      await emitter.emit('onTrainBegin', plan)
      for (const { message, level } of [...resume.notices, ...(resumed?.notices ?? [])])
        await emitter.notice(message, level)
      for (const message of [
        ...(prepared.truncated + prepared.dropped > 0 ? [prepared.lengths] : []),
        ...dataNotices(data, config),
        ...memoryNotices(memory),
        ...[precisionNotice, movingNotice]
          .map((notice) => notice(currentBackend()?.name ?? 'unknown', config))
          .filter((line) => line !== undefined),
      ])
        await emitter.notice(message)

      const ended = await trainLoop(run)

      if (config.loadBestModelAtEnd && ended !== 'interrupted' && state.bestModelCheckpoint) {
        await loadParameters(state.bestModelCheckpoint, parameters)
        await emitter.notice(`the weights are those of the best checkpoint, ${state.bestModelCheckpoint}`)
      }
      const result: TrainResult = {
        steps: state.globalStep,
        trainLoss: state.totalLoss / Math.max(1, state.lossCount),
        trainRuntime: secondsSoFar(),
        numTokens: state.numTokens,
        logs: state.logs,
        evals: state.evals,
        ended,
        interruptedBy: this.#interrupt.reason,
        lastCheckpoint: state.lastCheckpoint,
        bestCheckpoint: state.bestModelCheckpoint,
        skippedSteps: state.skippedSteps,
      }
      await emitter.emit('onTrainEnd', result)
      return result
    } catch (error) {
      const explained = explainOutOfMemory(error, memory)
      // What fails in here must not hide why training ended.
      await emitter.emit('onTrainError', { error: explained as Error }).catch(() => {})
      throw explained
    } finally {
      this.#interrupt.stop()
      optimizer.dispose()
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

  async #evalRows(): Promise<BatchRows> {
    const { evalDataset } = this.#options
    if (!evalDataset)
      throw new TunesmithError('There is no evaluation data', {
        code: 'invalid_options',
        where: 'SFTTrainer',
        remedy: 'Pass `evalDataset`, or set evalStrategy to "no"',
      })
    const packing = this.config.evalPacking ?? this.config.packing
    this.#evalData ??= await batchRows((await this.#prepare(evalDataset, packing)).examples, {
      ...this.config,
      packing,
    })
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
    if (this.peft) await savePeftModel(this.peft, folder)
    else await savePretrained(this.model, folder)
    await this.#options.tokenizer?.save(folder)
  }
}

function interruptMessage(reason: string, step: number, saveSeconds: number): string {
  const took = saveSeconds > 0 ? ` (the last save took ${saveSeconds.toFixed(1)} s)` : ''
  return `${reason === 'request' ? 'interrupted' : reason}: finishing the micro-batch, then saving checkpoint-${step}${took}`
}
