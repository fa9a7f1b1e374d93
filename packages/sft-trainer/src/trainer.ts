import { freemem } from 'node:os'
import type * as tf from '@tensorflow/tfjs-core'
import { TunesmithError } from '@tunesmith/core'
import type { Dataset, TokenizedExample } from '@tunesmith/datasets'
import { type CausalLM, makeTrainable, saveModel } from '@tunesmith/models'
import { getPeftModel, type LoraConfigOptions, PeftModel, savePeftModel } from '@tunesmith/peft-lora'
import type { Tokenizer } from '@tunesmith/tokenization'
import { evalBatches, plannedSteps, trainingRows } from './batches'
import { type SFTConfig, type SFTConfigOptions, sftConfig } from './config'
import type { CallbackContext, EvalLog, TrainerCallback, TrainPlan, TrainResult } from './events'
import { evaluateBatch } from './micro-batch'
import { type FormattingFunc, type PreparedData, prepareDataset } from './prepare'
import { createReporter } from './reporters'
import { trainLoop } from './train-loop'

export interface SFTTrainerOptions {
  /** A base model, or one that already has an adapter to go on with. */
  model: CausalLM | PeftModel
  args: SFTConfigOptions
  /** Rows in any known format, or examples already tokenized. */
  trainDataset: Dataset | readonly TokenizedExample[]
  evalDataset?: Dataset | readonly TokenizedExample[]
  /** Needed unless all datasets are tokenized. */
  tokenizer?: Tokenizer
  /** Puts a new adapter on `model`. Without one, and without an adapter, every weight is trained. */
  peftConfig?: LoraConfigOptions
  formattingFunc?: FormattingFunc
  /** Called beside the reporters. */
  callbacks?: readonly TrainerCallback[]
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
  #evalData: PreparedData | undefined

  constructor(options: SFTTrainerOptions) {
    this.#options = options
    this.config = sftConfig(options.args)
    if (this.config.learningRate === 0)
      throw new TunesmithError('The learning rate is 0: nothing would be learned', {
        code: 'invalid_options',
        where: 'SFTConfig',
      })
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
    this.parameters = this.peft ? this.peft.parameters() : makeTrainable(this.model)
  }

  async #prepare(dataset: Dataset | readonly TokenizedExample[]): Promise<PreparedData> {
    if (Array.isArray(dataset)) return { examples: dataset, format: 'tokenized', truncated: 0, dropped: 0 }
    const { tokenizer, formattingFunc } = this.#options
    if (!tokenizer)
      throw new TunesmithError('Rows of text need a tokenizer', {
        code: 'invalid_options',
        where: 'SFTTrainer',
        remedy: 'Pass `tokenizer`',
      })
    return prepareDataset(dataset as Dataset, tokenizer, this.config, formattingFunc)
  }

  #reporters(): TrainerCallback[] {
    const { callbacks = [] } = this.#options
    return [...this.config.reportTo.map((name) => createReporter(name, this.config)), ...callbacks]
  }

  /**
   * Trains to the end.
   *
   * @throws {TunesmithError} `numerical` when loss or gradient is not finite, `aborted` when the signal fires; the
   *   weights are then as after the last whole step.
   */
  async train({ signal }: { signal?: AbortSignal } = {}): Promise<TrainResult> {
    const { examples } = await this.#prepare(this.#options.trainDataset)
    const data = trainingRows(examples, this.config)
    const callbacks = this.#reporters()
    const context: CallbackContext = {
      config: this.config,
      state: {
        globalStep: 0,
        epoch: 0,
        maxSteps: 0,
        numTokens: 0,
        logHistory: [],
        bestMetric: undefined,
        bestGlobalStep: undefined,
        bestModelCheckpoint: undefined,
      },
      control: {
        shouldTrainingStop: false,
        shouldEpochStop: false,
        shouldSave: false,
        shouldEvaluate: false,
        shouldLog: false,
      },
    }
    const trainableParameters = [...this.parameters.values()].reduce((sum, { size }) => sum + size, 0)
    const plan: TrainPlan = {
      config: this.config,
      ...plannedSteps(data.rows.length, this.config),
      sequences: examples.length,
      tokensPerEpoch: examples.reduce((sum, { inputIds }) => sum + inputIds.length, 0),
      labelledTokensPerEpoch: examples.reduce(
        (sum, { labels }) => sum + labels.slice(1).filter((label) => label >= 0).length,
        0,
      ),
      packingEfficiency: data.efficiency,
      trainableParameters,
      allParameters: this.model.parameterCount() + (this.peft ? trainableParameters : 0),
      memory: { weights: 0, gradients: 0, optimizer: 0, activations: 0, total: 0, available: freemem() },
      resumedStep: 0,
      resumedFrom: undefined,
    }
    for (const callback of callbacks) await callback.onTrainBegin?.(plan, context)
    const result = await trainLoop({
      model: this.model,
      peft: this.peft,
      parameters: this.parameters,
      data,
      config: this.config,
      callbacks,
      context,
      evaluate: (step, epoch) => this.evaluate(step, epoch),
      signal,
    })
    for (const callback of callbacks) await callback.onTrainEnd?.(result, context)
    return result
  }

  /**
   * Loss and perplexity on `evalDataset`. The loss is TRL's: each batch's mean per labelled token, weighted by its rows.
   */
  async evaluate(step = 0, epoch = 0): Promise<EvalLog> {
    const { evalDataset } = this.#options
    if (!evalDataset)
      throw new TunesmithError('There is no evaluation data', {
        code: 'invalid_options',
        where: 'SFTTrainer',
        remedy: 'Pass `evalDataset`, or set evalStrategy to "no"',
      })
    this.#evalData ??= await this.#prepare(evalDataset)
    const start = performance.now()
    let [loss, rows, accuracy, entropy, tokens, batches] = [0, 0, 0, 0, 0, 0]
    for (const batch of evalBatches(this.#evalData.examples, this.config.perDeviceEvalBatchSize)) {
      const sums = evaluateBatch(this.model, batch, this.config)
      const inBatch = batch.cuSeqlens.length - 1
      loss += (sums.loss / sums.labels) * inBatch
      rows += inBatch
      accuracy += sums.correct / sums.labels
      entropy += sums.entropy / sums.labels
      tokens += sums.tokens
      batches++
      await new Promise<void>((resolve) => setImmediate(resolve))
    }
    const evalLoss = loss / rows
    return {
      step,
      epoch,
      evalLoss,
      evalPerplexity: Math.exp(evalLoss),
      evalMeanTokenAccuracy: accuracy / batches,
      evalEntropy: entropy / batches,
      evalNumTokens: tokens,
      evalRuntime: (performance.now() - start) / 1000,
    }
  }

  /** Saves the adapter in PEFT's layout, or the whole model when there is none. */
  async saveModel(folder = this.config.outputDir): Promise<void> {
    if (this.peft) await savePeftModel(this.peft, folder)
    else await saveModel(this.model, folder)
    await this.#options.tokenizer?.save(folder)
  }
}
