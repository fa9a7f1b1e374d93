import { invalidOptions, parseOptions, RequestError, requestJson } from '@tunesmith/core'
import { z } from 'zod'
import type { TrainerCallback } from '../../callbacks/events'
import { jsonNumber, type MetricPoint, type RunEnding, type RunStart, type TrackingService } from './service'
import { type TrackingOptions, trackingReporter } from './tracking-reporter'

const schema = z.strictObject({
  /** `http://...` of the tracking server. Default `MLFLOW_TRACKING_URI`. */
  trackingUri: z.string().optional(),
  /** Default `MLFLOW_EXPERIMENT_NAME`, or "Default". Made when it is not there. */
  experimentName: z.string().optional(),
  /** Default `MLFLOW_TRACKING_TOKEN`, or `MLFLOW_TRACKING_USERNAME` and `MLFLOW_TRACKING_PASSWORD`. */
  token: z.string().optional(),
})
export type MlflowOptions = z.input<typeof schema>

/** Limits of one log-batch request. */
const [MOST_METRICS, MOST_PARAMS] = [1000, 100]
/** What every store takes. */
const LONGEST_PARAM = 500

/** Reports to an MLflow tracking server, through its REST API 2.0. */
export function mlflowReporter(options: MlflowOptions = {}, tracking?: TrackingOptions): TrainerCallback {
  const parsed = parseOptions(schema, options, 'mlflowReporter')
  return trackingReporter('mlflow', () => new Mlflow(parsed), tracking)
}

function authorization(token: string | undefined): Record<string, string> {
  const { MLFLOW_TRACKING_TOKEN, MLFLOW_TRACKING_USERNAME: user, MLFLOW_TRACKING_PASSWORD: password } = process.env
  const bearer = token ?? MLFLOW_TRACKING_TOKEN
  if (bearer) return { authorization: `Bearer ${bearer}` }
  if (user && password) return { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` }
  return {}
}

class Mlflow implements TrackingService {
  readonly title = 'MLflow'
  readonly secrets: string[]
  readonly #root: string
  readonly #headers: Record<string, string>
  #runId = ''
  #experiment = ''

  constructor(readonly options: z.output<typeof schema>) {
    const uri = options.trackingUri ?? process.env.MLFLOW_TRACKING_URI ?? ''
    if (!/^https?:\/\//.test(uri))
      throw invalidOptions('MLflow gets no logs: there is no tracking server', {
        where: 'MLFLOW_TRACKING_URI',
        remedy: 'Set it to the http address of a tracking server',
      })
    this.#root = uri.replace(/\/+$/, '')
    this.#headers = authorization(options.token)
    this.secrets = Object.values(this.#headers).map((value) => value.replace(/^\w+ /, ''))
  }

  #call<Answer>(path: string, body: unknown, signal: AbortSignal): Promise<Answer> {
    return requestJson(`${this.#root}/api/2.0/mlflow/${path}`, { headers: this.#headers, body, signal })
  }

  async #experimentId(signal: AbortSignal): Promise<string> {
    const name = this.options.experimentName ?? process.env.MLFLOW_EXPERIMENT_NAME ?? 'Default'
    const find = async () => {
      const path = `experiments/get-by-name?experiment_name=${encodeURIComponent(name)}`
      const found = await this.#call<{ experiment: { experiment_id: string } }>(path, undefined, signal)
      return found.experiment.experiment_id
    }
    try {
      return await find()
    } catch (error) {
      if (!(error instanceof RequestError) || error.status !== 404) throw error
    }
    try {
      return (await this.#call<{ experiment_id: string }>('experiments/create', { name }, signal)).experiment_id
    } catch (error) {
      // Another training may have made it meanwhile.
      if (error instanceof RequestError && error.status === 400) return find()
      throw error
    }
  }

  async open({ runName, settings, continued, time }: RunStart, signal: AbortSignal) {
    if (continued) {
      this.#runId = continued.runId!
      this.#experiment = continued.experimentId!
      await this.#call('runs/update', { run_id: this.#runId, status: 'RUNNING' }, signal)
    } else if (this.#runId === '') {
      this.#experiment = await this.#experimentId(signal)
      const tags = [{ key: 'mlflow.source.name', value: 'tunesmith' }]
      const run = { experiment_id: this.#experiment, run_name: runName, start_time: time, tags }
      const made = await this.#call<{ run: { info: { run_id: string } } }>('runs/create', run, signal)
      this.#runId = made.run.info.run_id
    }
    // A parameter may be written once; a resume with other settings keeps the first ones.
    if (!continued) {
      const params = Object.entries(settings).map(([key, value]) => ({
        key,
        value: (typeof value === 'string' ? value : JSON.stringify(value)).slice(0, LONGEST_PARAM),
      }))
      for (let i = 0; i < params.length; i += MOST_PARAMS)
        await this.#call('runs/log-batch', { run_id: this.#runId, params: params.slice(i, i + MOST_PARAMS) }, signal)
    }
    const identity = { runId: this.#runId, experimentId: this.#experiment }
    return { identity, url: `${this.#root}/#/experiments/${identity.experimentId}/runs/${this.#runId}` }
  }

  async send(points: readonly MetricPoint[], signal: AbortSignal): Promise<void> {
    const metrics = points.flatMap(({ step, time, metrics: values }) =>
      Object.entries(values).map(([key, value]) => ({ key, value: jsonNumber(value), timestamp: time, step })),
    )
    for (let i = 0; i < metrics.length; i += MOST_METRICS)
      await this.#call('runs/log-batch', { run_id: this.#runId, metrics: metrics.slice(i, i + MOST_METRICS) }, signal)
  }

  async close(ending: RunEnding, signal: AbortSignal): Promise<void> {
    const status = ending === 'failed' ? 'FAILED' : ending === 'interrupted' ? 'KILLED' : 'FINISHED'
    await this.#call('runs/update', { run_id: this.#runId, status, end_time: Date.now() }, signal)
  }
}
