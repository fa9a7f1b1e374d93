import type { TrainLog } from '../callbacks/events'
import type { MicroSums } from './objective'

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length

/** What happened since the last log; plain JSON, so that a resumed run logs the same means. */
export type LogWindowState = ReturnType<typeof emptyWindow>

type Metrics = Pick<TrainLog, 'meanTokenAccuracy' | 'entropy'> & Record<string, number>

const emptyWindow = () => ({
  losses: [] as number[],
  metrics: {} as Record<string, number[]>,
  gradNorm: 0,
  learningRate: 0,
  rows: 0,
  sequences: 0,
})

/** Collects what happened since the last log. */
export class LogWindow {
  #state = emptyWindow()
  #tokens = 0
  #start = performance.now()

  addStep(loss: number, gradNorm: number, learningRate: number): void {
    this.#state.losses.push(loss)
    this.#state.gradNorm = gradNorm
    this.#state.learningRate = learningRate
  }

  addMicroBatch({ tokens }: MicroSums, metrics: Metrics, rows: number, sequences: number): void {
    const state = this.#state
    this.#tokens += tokens
    state.rows += rows
    state.sequences += sequences
    for (const [name, value] of Object.entries(metrics)) {
      const values = state.metrics[name] ?? []
      state.metrics[name] = values
      if (Number.isFinite(value)) values.push(value)
    }
  }

  tokensPerSecond(): number {
    return this.#tokens / Math.max(1e-9, (performance.now() - this.#start) / 1000)
  }

  /** The means since the last log; starts anew. */
  take() {
    const { losses, metrics, gradNorm, learningRate, rows, sequences } = this.#state
    const means = Object.fromEntries(Object.entries(metrics).map(([name, values]) => [name, mean(values)]))
    const log = {
      loss: mean(losses),
      gradNorm,
      learningRate,
      ...(means as Metrics),
      tokensPerSecond: this.tokensPerSecond(),
      memory: process.memoryUsage.rss(),
      paddingShare: 0,
      sequencesPerRow: sequences / Math.max(1, rows),
    }
    this.#state = emptyWindow()
    this.restartClock()
    return log
  }

  /** Evaluations and saves do not count as training time. */
  restartClock(): void {
    this.#tokens = 0
    this.#start = performance.now()
  }

  state(): LogWindowState {
    return structuredClone(this.#state)
  }

  load(state: LogWindowState): void {
    this.#state = structuredClone(state)
  }
}
