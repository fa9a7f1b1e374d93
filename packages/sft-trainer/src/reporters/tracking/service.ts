import type { TrainResult } from '../../callbacks/events'

/** The numbers of one log or evaluation. */
export interface MetricPoint {
  step: number
  /** Milliseconds since 1970. */
  time: number
  /** `train/loss`, `eval/rouge_l`... */
  metrics: Record<string, number>
}

export interface RunStart {
  runName: string
  /** The settings under the names that Python's libraries have, so that runs can be compared. */
  settings: Record<string, unknown>
  /** What {@link TrackingService.open} returned when this run began, if it goes on from a checkpoint. */
  continued: RunIdentity | undefined
  time: number
}

/** How a service knows a run: plain JSON, kept beside the checkpoints. */
export type RunIdentity = Record<string, string>

export type RunEnding = TrainResult['ended'] | 'failed'

/**
 * A place that keeps runs, as its HTTP API has it. Every call may be repeated after a failure, also when the server had
 * already done its part.
 */
export interface TrackingService {
  /** For messages. */
  readonly title: string
  /** @returns what is needed to go on with the run later; `url` is shown to the user. */
  open(run: RunStart, signal: AbortSignal): Promise<{ identity: RunIdentity; url?: string }>
  send(points: readonly MetricPoint[], signal: AbortSignal): Promise<void>
  close(ending: RunEnding, signal: AbortSignal): Promise<void>
  /** Says that the run is alive when there was nothing to send for `heartbeatMs`. */
  heartbeat?(signal: AbortSignal): Promise<void>
}

/** JSON has no such numbers; services read them as the words `NaN`, `Infinity` and `-Infinity`, as in protobuf's JSON. */
export const jsonNumber = (value: number): number | string => (Number.isFinite(value) ? value : String(value))
