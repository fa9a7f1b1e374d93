import { fileURLToPath } from 'node:url'
import {
  type CausalLM,
  type ComputeLoss,
  type GenerateOptions,
  generate,
  type LoadModelOptions,
  loadModel,
} from '@tunesmith/models'
import { getPeftModel, type PeftConfigOptions, PeftModel } from '@tunesmith/peft-lora'
import { type SFTConfigOptions, SFTTrainer } from '../index'
import { countingExamples } from './counting-task'
import { focalLoss } from './focal-loss'

/** Something users do with a model: training it, answering with it, changing its adapters. */
export interface Workflow {
  name: string
  /** A folder of the models package's fixtures. Default `llama`. */
  base?: string
  load?: LoadModelOptions
  adapter?: PeftConfigOptions
  args?: Partial<SFTConfigOptions>
  computeLoss?: ComputeLoss
  generation?: GenerateOptions
  /** In place of training and generating. */
  run?: (model: CausalLM) => Promise<void>
}

const PROMPTS = [
  [5, 6, 7, 8],
  [9, 10],
]
const LORA: PeftConfigOptions = { r: 4, loraDropout: 0.1, targetModules: 'all-linear' }

const fixture = (name: string) => fileURLToPath(new URL(`../../../models/src/fixtures/${name}`, import.meta.url))

/** A model with several LoRA adapters `a`, `b`... */
function several(model: CausalLM, ...options: PeftConfigOptions[]): PeftModel {
  const peft = new PeftModel(model)
  for (const [i, each] of options.entries()) peft.addAdapter('abc'[i]!, each, { seed: i })
  return peft
}
const SMALL: PeftConfigOptions = { r: 2, targetModules: ['q_proj', 'down_proj'], initLoraWeights: false }

async function answer(model: CausalLM, options: GenerateOptions = {}): Promise<void> {
  const { adapterNames } = options
  const prompts = adapterNames ? adapterNames.map((_, i) => PROMPTS[i % 2]!) : PROMPTS
  await generate(model, prompts, { maxNewTokens: 2, stopTokenIds: [], ...options })
}

/** What the CUDA backend must do without reading anything back: add a new adapter, optimizer or option here, a line each. */
export const WORKFLOWS: readonly Workflow[] = [
  ...['llama', 'mistral', 'qwen2', 'qwen3', 'gemma2', 'phi3'].map((base) => ({ name: base, base, adapter: LORA })),

  { name: 'nf4', load: { quantizationConfig: { loadIn4bit: true, bnb4bitQuantType: 'nf4' } }, adapter: LORA },
  {
    name: 'nf4, twice',
    load: { quantizationConfig: { loadIn4bit: true, bnb4bitUseDoubleQuant: true } },
    adapter: LORA,
  },
  { name: 'int8', load: { quantizationConfig: { loadIn8bit: true } }, adapter: LORA },
  { name: 'float32', load: { dtype: 'float32' }, adapter: LORA },

  { name: 'rsLoRA', adapter: { ...LORA, useRslora: true } },
  { name: 'LoRA on q and v without dropout', adapter: { r: 4 } },
  { name: 'DoRA', adapter: { r: 4, useDora: true, targetModules: 'all-linear' } },
  { name: 'DoRA with dropout', adapter: { r: 4, useDora: true, loraDropout: 0.1 } },
  { name: 'DoRA on embeddings', adapter: { r: 4, useDora: true, targetModules: ['q_proj', 'embed_tokens'] } },
  { name: 'bias all', adapter: { r: 4, bias: 'all' } },
  { name: 'bias lora_only', adapter: { r: 4, bias: 'lora_only' } },
  { name: 'modulesToSave', adapter: { r: 4, modulesToSave: ['lm_head', 'embed_tokens', 'norm'] } },
  ...(['gaussian', 'pissa', 'pissa_niter_4', 'olora', 'loftq'] as const).map((initLoraWeights) => ({
    name: initLoraWeights,
    adapter: { r: 2, targetModules: ['q_proj'], initLoraWeights },
  })),
  { name: 'LoRA on embeddings', adapter: { r: 4, targetModules: ['embed_tokens', 'q_proj'] } },
  { name: 'trainableTokenIndices', adapter: { r: 4, trainableTokenIndices: [5, 9] } },
  { name: 'trainableTokenIndices, tied', base: 'qwen2', adapter: { r: 4, trainableTokenIndices: [5, 9] } },
  { name: 'IA3', adapter: { peftType: 'IA3' } },
  { name: 'prompt tuning', adapter: { peftType: 'PROMPT_TUNING', numVirtualTokens: 3 } },
  {
    name: 'prompt tuning of vocabulary',
    adapter: { peftType: 'PROMPT_TUNING', numVirtualTokens: 3, promptTuningInit: 'SAMPLE_VOCAB' },
  },
  { name: 'prefix tuning', adapter: { peftType: 'PREFIX_TUNING', numVirtualTokens: 3 } },
  {
    name: 'prefix tuning, projected',
    adapter: { peftType: 'PREFIX_TUNING', numVirtualTokens: 3, prefixProjection: true },
  },
  ...(['swish', 'relu', 'gelu', 'tanh'] as const).map((nonLinearity) => ({
    name: `bottleneck ${nonLinearity}`,
    adapter: { peftType: 'BOTTLENECK' as const, nonLinearity, dropout: 0.1 },
  })),
  {
    name: 'AdaLoRA',
    adapter: { peftType: 'ADALORA', totalStep: 4, initR: 4, targetR: 2, tfinal: 1, loraDropout: 0.1 },
    args: { maxSteps: 4 },
  },
  { name: 'VeRA', adapter: { peftType: 'VERA', r: 8, targetModules: 'all-linear', bias: 'vera_only' } },
  { name: 'VeRA with dropout', adapter: { peftType: 'VERA', r: 8, veraDropout: 0.1 } },

  ...(['adamw', 'adamw_8bit', 'paged_adamw_32bit', 'paged_adamw_8bit', 'sgd', 'adafactor', 'lion'] as const).map(
    (optim) => ({
      name: optim,
      // Large enough for moments of 8 bits.
      adapter: { r: 90, targetModules: ['down_proj'], bias: 'all' as const },
      args: { optim, weightDecay: 0.01, maxSteps: 2 },
    }),
  ),
  {
    name: 'sgd with momentum',
    adapter: LORA,
    args: { optim: 'sgd', maxSteps: 2, optimArgs: { momentum: 0.9, nesterov: true } },
  },
  {
    name: 'adafactor by size',
    adapter: LORA,
    args: {
      optim: 'adafactor',
      maxSteps: 2,
      optimArgs: { scaleParameter: true, relativeStep: true, warmupInit: true, beta1: 0.9 },
    },
  },
  { name: 'full fine-tuning', args: { optim: 'adamw' } },
  { name: 'full fine-tuning, tied', base: 'gemma2', args: { gradientCheckpointing: true } },
  { name: 'full fine-tuning of some modules', args: { trainableModules: ['q_proj', 'model.norm'] } },
  {
    name: 'accumulation, clipping, label smoothing',
    adapter: LORA,
    args: { gradientAccumulationSteps: 2, maxGradNorm: 0.01, labelSmoothingFactor: 0.1 },
  },
  { name: 'a loss of the user', adapter: LORA, computeLoss: focalLoss },
  { name: 'a loss of the user, full fine-tuning, tied', base: 'gemma2', computeLoss: focalLoss },
  {
    name: 'a loss of the user, LoRA on the head, packing, checkpointing',
    adapter: { ...LORA, targetModules: ['q_proj', 'lm_head'] },
    args: { packing: true, maxLength: 32, gradientCheckpointing: true },
    computeLoss: focalLoss,
  },
  { name: 'NEFTune, dft', adapter: LORA, args: { neftuneNoiseAlpha: 5, lossType: 'dft' } },
  {
    name: 'LoRA+, fp16 scaling, packing',
    adapter: LORA,
    args: { loraPlusLrRatio: 4, fp16: true, packing: true, maxLength: 32 },
  },
  { name: 'checkpointing', adapter: LORA, args: { gradientCheckpointing: true } },
  { name: 'evaluation', adapter: LORA, args: { evalStrategy: 'steps', evalSteps: 1, evalOnStart: true } },

  {
    name: 'sampling, several answers',
    adapter: LORA,
    generation: { doSample: true, temperature: 0.8, topK: 5, topP: 0.9, numReturnSequences: 2 },
  },
  { name: 'repetition penalty', adapter: LORA, generation: { repetitionPenalty: 1.2, minP: 0.1, doSample: true } },
  {
    name: 'several adapters, one for each prompt',
    run: (model) => {
      several(model, SMALL, { ...SMALL, useDora: true }, { peftType: 'IA3', initIa3Weights: false })
      return answer(model, { adapterNames: ['a', 'b', 'c', '__base__'] })
    },
  },
  {
    name: 'several adapters at once, trained',
    run: async (model) => {
      const peft = several(model, SMALL, { ...SMALL, useDora: true }, { peftType: 'IA3', initIa3Weights: false })
      peft.setAdapter(['a', 'b', 'c'])
      await train(peft)
      await answer(model)
    },
  },
  {
    name: 'merged and back',
    run: async (model) => {
      const peft = several(model, SMALL, { ...SMALL, useDora: true }, { peftType: 'IA3', initIa3Weights: false })
      peft.merge({ adapters: ['a', 'b', 'c'] })
      await answer(model)
      peft.unmerge()
      await peft.withoutAdapter(() => answer(model))
      peft.mergeAndUnload()
      await answer(model)
    },
  },
  {
    name: 'merged into nf4',
    load: { quantizationConfig: { loadIn4bit: true, bnb4bitQuantType: 'nf4' } },
    run: async (model) => {
      getPeftModel(model, SMALL).mergeAndUnload({ weights: 'requantize' })
      await answer(model)
    },
  },
]

async function train(
  model: CausalLM | PeftModel,
  { adapter, args, computeLoss }: Partial<Workflow> = {},
): Promise<void> {
  const trainer = new SFTTrainer({
    model,
    trainDataset: countingExamples(8),
    evalDataset: countingExamples(2, 8),
    peftConfig: adapter,
    computeLoss,
    args: {
      outputDir: 'unused',
      learningRate: 5e-3,
      perDeviceTrainBatchSize: 1,
      maxSteps: 1,
      saveStrategy: 'no',
      saveOnSignal: false,
      reportTo: [],
      ...args,
    },
  })
  await trainer.train()
}

/** Loads the base model and does everything once. Leaves no tensor behind that the model or the trainer owns. */
export async function runWorkflow(workflow: Workflow): Promise<void> {
  const model = await loadModel(fixture(workflow.base ?? 'llama'), workflow.load)
  try {
    if (workflow.run) return await workflow.run(model)
    await train(model, workflow)
    await answer(model, workflow.generation)
  } finally {
    model.dispose()
  }
}
