import type { TrainLog } from './events'
import type { LossSums } from './micro-batch'

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length)

/** Collects what happened since the last log. */
export class LogWindow {
  /** Tokens read since the start. */
  numTokens = 0
  #losses: number[] = []
  #accuracies: number[] = []
  #entropies: number[] = []
  #tokens = 0
  #start = performance.now()
  #last = { norm: 0, lr: 0 }

  add(loss: number, norm: number, lr: number, micros: readonly LossSums[]): void {
    this.#losses.push(loss)
    this.#last = { norm, lr }
    for (const { correct, entropy, labels, tokens } of micros) {
      this.numTokens += tokens
      this.#tokens += tokens
      if (labels === 0) continue
      this.#accuracies.push(correct / labels)
      this.#entropies.push(entropy / labels)
    }
  }

  tokensPerSecond(): number {
    return this.#tokens / Math.max(1e-9, (performance.now() - this.#start) / 1000)
  }

  /** The log since the last one; starts anew. */
  take(step: number, epoch: number): TrainLog {
    const log: TrainLog = {
      step,
      epoch,
      loss: mean(this.#losses),
      gradNorm: this.#last.norm,
      learningRate: this.#last.lr,
      meanTokenAccuracy: mean(this.#accuracies),
      entropy: mean(this.#entropies),
      numTokens: this.numTokens,
      tokensPerSecond: this.tokensPerSecond(),
      memory: process.memoryUsage.rss(),
      paddingShare: 0,
      sequencesPerRow: 1,
      skippedSteps: 0,
    }
    this.#losses = []
    this.#accuracies = []
    this.#entropies = []
    this.#tokens = 0
    this.#start = performance.now()
    return log
  }
}
