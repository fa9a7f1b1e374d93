import type { CallbackContext, EvalLog, TrainLog, TrainPlan, TrainResult } from '../../callbacks/events'
import { type SFTConfigOptions, sftConfig } from '../../config'

/** Events as a small training sends them. */

export const trainLog = (log: Partial<TrainLog> = {}): TrainLog => ({
  step: 1,
  epoch: 0.5,
  loss: 1,
  gradNorm: 0.5,
  learningRate: 1e-4,
  meanTokenAccuracy: 0.25,
  entropy: 2,
  numTokens: 1000,
  tokensPerSecond: 500,
  memory: 2 ** 30,
  paddingShare: 0,
  sequencesPerRow: 1,
  skippedSteps: 0,
  ...log,
})

export const evalLog = (log: Partial<EvalLog> = {}): EvalLog => ({
  step: 1,
  epoch: 0.5,
  evalLoss: 1,
  evalPerplexity: 2.7,
  evalMeanTokenAccuracy: 0.25,
  evalEntropy: 2,
  evalLossOfBatches: 1,
  evalNumTokens: 100,
  evalRuntime: 1,
  ...log,
})

export const plan = (config: SFTConfigOptions, rest: Partial<TrainPlan> = {}): TrainPlan => ({
  config: sftConfig(config),
  totalSteps: 10,
  stepsPerEpoch: 5,
  tokensPerEpoch: 1000,
  labelledTokensPerEpoch: 800,
  sequences: 20,
  packingEfficiency: 1,
  trainableParameters: 10,
  allParameters: 100,
  memory: { weights: 1, gradients: 1, optimizer: 1, activations: 1, total: 4, available: 100 },
  resumedStep: 0,
  resumedFrom: undefined,
  ...rest,
})

export const result = (ended: TrainResult['ended'] = 'finished'): TrainResult => ({
  steps: 10,
  trainLoss: 1,
  trainRuntime: 1,
  numTokens: 1000,
  logs: [],
  evals: [],
  ended,
  lastCheckpoint: undefined,
  bestCheckpoint: undefined,
  skippedSteps: 0,
})

export const context = (): CallbackContext => ({
  config: sftConfig({ outputDir: '.' }),
  state: {
    globalStep: 0,
    epoch: 0,
    maxSteps: 10,
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
})
