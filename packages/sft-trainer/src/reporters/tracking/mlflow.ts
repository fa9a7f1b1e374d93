import { invalidOptions, RequestError, requestJson } from '@tunesmith/core'
import { z } from 'zod'
import { jsonNumber, type TrackingService } from './service'
import { reporterOf } from './tracking-reporter'

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
export const mlflowReporter = reporterOf('mlflow', schema, mlflow)

function authorization(token: string | undefined): Record<string, string> {
  const { MLFLOW_TRACKING_TOKEN, MLFLOW_TRACKING_USERNAME: user, MLFLOW_TRACKING_PASSWORD: password } = process.env
  const bearer = token ?? MLFLOW_TRACKING_TOKEN
  if (bearer) return { authorization: `Bearer ${bearer}` }
  if (user && password) return { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` }
  return {}
}

function mlflow(options: z.output<typeof schema>): TrackingService {
  const uri = options.trackingUri ?? process.env.MLFLOW_TRACKING_URI ?? ''
  if (!/^https?:\/\//.test(uri))
    throw invalidOptions('MLflow gets no logs: there is no tracking server', {
      where: 'MLFLOW_TRACKING_URI',
      remedy: 'Set it to the http address of a tracking server',
    })
  const root = uri.replace(/\/+$/, '')
  const headers = authorization(options.token)
  let runId = ''
  let experimentId = ''

  const call = <Answer>(path: string, body: unknown, signal: AbortSignal): Promise<Answer> =>
    requestJson(`${root}/api/2.0/mlflow/${path}`, { headers, body, signal })

  async function findExperiment(signal: AbortSignal): Promise<string> {
    const name = options.experimentName ?? process.env.MLFLOW_EXPERIMENT_NAME ?? 'Default'
    const find = async () => {
      const path = `experiments/get-by-name?experiment_name=${encodeURIComponent(name)}`
      const found = await call<{ experiment: { experiment_id: string } }>(path, undefined, signal)
      return found.experiment.experiment_id
    }
    try {
      return await find()
    } catch (error) {
      if (!(error instanceof RequestError) || error.status !== 404) throw error
    }
    try {
      return (await call<{ experiment_id: string }>('experiments/create', { name }, signal)).experiment_id
    } catch (error) {
      // Another training may have made it meanwhile.
      if (error instanceof RequestError && error.status === 400) return find()
      throw error
    }
  }

  return {
    title: 'MLflow',
    async open({ runName, settings, continued, time }, signal) {
      if (continued) {
        runId = continued.runId!
        experimentId = continued.experimentId!
        await call('runs/update', { run_id: runId, status: 'RUNNING' }, signal)
      } else if (runId === '') {
        experimentId = await findExperiment(signal)
        const tags = [{ key: 'mlflow.source.name', value: 'tunesmith' }]
        const run = { experiment_id: experimentId, run_name: runName, start_time: time, tags }
        const made = await call<{ run: { info: { run_id: string } } }>('runs/create', run, signal)
        runId = made.run.info.run_id
      }
      // A parameter may be written once; a resume with other settings keeps the first ones.
      if (!continued) {
        const params = Object.entries(settings).map(([key, value]) => ({
          key,
          value: (typeof value === 'string' ? value : JSON.stringify(value)).slice(0, LONGEST_PARAM),
        }))
        for (let i = 0; i < params.length; i += MOST_PARAMS)
          await call('runs/log-batch', { run_id: runId, params: params.slice(i, i + MOST_PARAMS) }, signal)
      }
      return { identity: { runId, experimentId }, url: `${root}/#/experiments/${experimentId}/runs/${runId}` }
    },
    async send(points, signal) {
      const metrics = points.flatMap(({ step, time, metrics: values }) =>
        Object.entries(values).map(([key, value]) => ({ key, value: jsonNumber(value), timestamp: time, step })),
      )
      for (let i = 0; i < metrics.length; i += MOST_METRICS)
        await call('runs/log-batch', { run_id: runId, metrics: metrics.slice(i, i + MOST_METRICS) }, signal)
    },
    async close(ending, signal) {
      const status = ending === 'failed' ? 'FAILED' : ending === 'interrupted' ? 'KILLED' : 'FINISHED'
      await call('runs/update', { run_id: runId, status, end_time: Date.now() }, signal)
    },
  }
}
