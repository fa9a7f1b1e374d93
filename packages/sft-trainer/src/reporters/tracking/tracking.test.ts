import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { TrainerCallback, TrainResult } from '../../callbacks/events'
import { type FakeAnswer, type FakeRequest, fakeServer } from '../testing/fake-server'
import { context, evalLog, plan, result, trainLog } from '../testing/logs'
import { mlflowReporter } from './mlflow'
import type { TrackingOptions } from './tracking-reporter'
import { trackioReporter } from './trackio'
import { wandbReporter } from './wandb'

const KEY = 'k'.repeat(40)

let folder: string
let said: string[]
let open: { close(): Promise<void> }[]
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tunesmith-'))
  said = []
  open = []
})
afterEach(async () => {
  for (const each of open) await each.close()
  await rm(folder, { recursive: true })
})

const tracking = (): TrackingOptions => ({
  backoffMs: 5,
  flushMs: 5000,
  say: (message, level) => said.push(`${level}: ${message}`),
})
const warnings = () => said.filter((line) => line.startsWith('warning'))

async function server(handler: (request: FakeRequest) => FakeAnswer | undefined) {
  const made = await fakeServer(handler)
  open.push(made)
  return made
}

/** The first request to each path fails in another way each: what has to be tried again. */
function flaky(handler: (request: FakeRequest) => FakeAnswer | undefined) {
  const failures: FakeAnswer[] = [{ status: 503 }, { status: 429, headers: { 'retry-after': '0.01' } }, { status: 500 }]
  const seen = new Set<string>()
  return (request: FakeRequest) => {
    if (seen.has(request.path)) return handler(request)
    seen.add(request.path)
    return failures[seen.size % failures.length]
  }
}

/** A training whose logs are at `steps`, with an evaluation at the last. */
async function train(
  reporter: TrainerCallback,
  steps: number[],
  { resumedStep = 0, ended = 'finished' as TrainResult['ended'] } = {},
): Promise<void> {
  await reporter.onTrainBegin!(plan({ outputDir: folder, runName: 'first run' }, { resumedStep }), context())
  for (const step of steps) await reporter.onLog!(trainLog({ step, loss: 1 / step }), context())
  await reporter.onEvaluate!(evalLog({ step: steps.at(-1)!, evalRougeL: Number.NaN }), context())
  await reporter.onTrainEnd!(result(ended), context())
}

/** What api.wandb.ai does, as far as its client shows: upsertBucket, and lines of files written at offsets. */
function wandbServer() {
  const runs = new Map<
    string,
    { config: Record<string, { value: unknown }>; files: Record<string, string[]>; ends: object[] }
  >()
  const handler = ({ path, headers, body, method }: FakeRequest): FakeAnswer => {
    if (headers.authorization !== `Basic ${Buffer.from(`api:${KEY}`).toString('base64')}`)
      return { status: 401, body: { error: `the key ${KEY} is wrong` } }
    if (method === 'POST' && path === '/graphql') {
      const { query, variables } = body as { query: string; variables: Record<string, string> }
      if (!query.includes('upsertBucket')) return { status: 400 }
      const run = runs.get(variables.name!) ?? { config: {}, files: {}, ends: [] }
      if (variables.config) run.config = JSON.parse(variables.config)
      runs.set(variables.name!, run)
      const historyLineCount = run.files['wandb-history.jsonl']?.length ?? 0
      const project = { name: variables.project, entity: { name: variables.entity ?? 'someone' } }
      return {
        body: { data: { upsertBucket: { bucket: { config: JSON.stringify(run.config), historyLineCount, project } } } },
      }
    }
    const match = /^\/files\/someone\/tunesmith\/(\w+)\/file_stream$/.exec(path)
    const run = match && runs.get(match[1]!)
    if (!run) return { status: 404 }
    const { files = {}, ...end } = body as { files?: Record<string, { offset: number; content: string[] }> }
    for (const [name, { offset, content }] of Object.entries(files)) {
      run.files[name] ??= []
      run.files[name].splice(offset, content.length, ...content)
    }
    if (Object.keys(end).length > 0) run.ends.push(end)
    return { body: {} }
  }
  return { runs, handler }
}

describe('wandbReporter', () => {
  it('makes a run, sends history, goes on with it after an interruption, and completes it', async () => {
    const { runs, handler } = wandbServer()
    const { url } = await server(flaky(handler))
    const reporter = () => wandbReporter({ apiKey: KEY, baseUrl: url }, tracking())
    await train(reporter(), [1, 2, 3], { ended: 'interrupted' })
    // The checkpoint was made after step 2: step 3 is logged again, and is there already.
    await train(reporter(), [3, 4], { resumedStep: 2 })
    expect(runs.size).toBe(1)
    const [run] = [...runs.values()]
    const parse = (line: string) => JSON.parse(line.replaceAll(':NaN', ':"NaN"'))
    const rows = run!.files['wandb-history.jsonl']!.map(parse)
    expect(rows.map((row) => [row._step, row['train/global_step'], row['train/loss'] ?? row['eval/rouge_l']])).toEqual([
      [0, 1, 1],
      [1, 2, 0.5],
      [2, 3, 1 / 3],
      [3, 3, 'NaN'],
      [4, 4, 0.25],
      [5, 4, 'NaN'],
    ])
    expect(run!.config).toMatchObject({ learning_rate: { value: 2e-5 } })
    expect(parse(run!.files['wandb-summary.json']!.at(-1)!)).toMatchObject({ 'train/loss': 0.25, 'eval/loss': 1 })
    // Every chart has the training's step as its axis.
    const { m } = run!.config._wandb!.value as { m: Record<string, unknown>[] }
    expect(m[0]).toEqual({ '1': 'train/global_step', '6': [3] })
    expect(m).toContainEqual({ '1': 'eval/rouge_l', '5': 1, '6': [1, 3] })
    expect(m).toHaveLength(1 + new Set(m.slice(1).map((definition) => definition['1'])).size)
    expect(run!.ends).toEqual([{ preempting: true }, { complete: true, exitcode: 0 }])
    expect(said.filter((line) => line.startsWith('info'))).toHaveLength(2)
    expect(said.join()).not.toContain(KEY)
  })

  it('says that it is alive when there is nothing to say, and keeps reporting without a disk', async () => {
    const { runs, handler } = wandbServer()
    const { url, requests } = await server(handler)
    const file = join(folder, 'a-file')
    await writeFile(file, '')
    const reporter = wandbReporter({ apiKey: KEY, baseUrl: url }, { ...tracking(), heartbeatMs: 5 })
    await reporter.onTrainBegin!(plan({ outputDir: file }), context())
    const beats = () =>
      requests.filter(({ path, body }) => path.endsWith('file_stream') && Object.keys(body).length === 0)
    while (beats().length < 3) await new Promise((resolve) => setTimeout(resolve, 5))
    await reporter.onLog!(trainLog({ step: 1 }), context())
    await reporter.onLog!(trainLog({ step: 2 }), context())
    await reporter.onTrainEnd!(result(), context())
    expect([...runs.values()][0]!.files['wandb-history.jsonl']).toHaveLength(2)
    expect(warnings()).toEqual([])
  })

  it('says once, and without the key, that the key is wrong', async () => {
    const { handler } = wandbServer()
    const { url, requests } = await server((request) => {
      const answer = handler(request)
      return answer.status === 401 ? { status: 401, body: { error: `no such key: ${KEY.slice(1)}x` } } : answer
    })
    await train(wandbReporter({ apiKey: `${KEY.slice(1)}x`, baseUrl: url }, tracking()), [1, 2, 3])
    expect(said).toHaveLength(1)
    expect(said[0]).toMatch(
      /^warning: Weights & Biases gets no more logs: .*\/graphql answered 401: .*no such key: \*\*\*/,
    )
    expect(requests).toHaveLength(1)
  })
})

/** A tracking server's REST API as documented: experiments, runs, batches with their limits. */
function mlflowServer() {
  const experiments = new Map<string, string>([['Default', '0']])
  const runs = new Map<string, { run: never; params: [string, string][]; metrics: unknown[][]; states: string[] }>()
  const handler = ({ path, query, headers, body }: FakeRequest): FakeAnswer => {
    if (headers.authorization !== `Bearer ${KEY}`) return { status: 403, body: { error_code: 'PERMISSION_DENIED' } }
    const call = path.replace('/api/2.0/mlflow/', '')
    if (call === 'experiments/get-by-name') {
      const id = experiments.get(query.get('experiment_name')!)
      return id
        ? { body: { experiment: { experiment_id: id } } }
        : { status: 404, body: { error_code: 'RESOURCE_DOES_NOT_EXIST' } }
    }
    if (call === 'experiments/create') {
      const id = String(experiments.size)
      experiments.set((body as { name: string }).name, id)
      return { body: { experiment_id: id } }
    }
    if (call === 'runs/create') {
      const id = `run${runs.size}`
      runs.set(id, { run: body, params: [], metrics: [], states: ['RUNNING'] })
      return { body: { run: { info: { run_id: id } } } }
    }
    const { run_id: id, ...content } = body as { run_id: string; status?: string; params?: never[]; metrics?: never[] }
    const run = runs.get(id)
    if (!run) return { status: 404 }
    const { params = [], metrics = [] } = content as Record<
      string,
      { key: string; value: unknown; step: number; timestamp: number }[]
    >
    if (params.length > 100 || metrics.length > 1000)
      return { status: 400, body: { error_code: 'INVALID_PARAMETER_VALUE' } }
    for (const { key, value } of params) run.params.push([key, value as string])
    for (const { key, value, step, timestamp } of metrics) {
      expect(Math.abs(timestamp - Date.now())).toBeLessThan(60_000)
      run.metrics.push([key, value, step])
    }
    if (call === 'runs/update') run.states.push(content.status!)
    return { body: {} }
  }
  return { experiments, runs, handler }
}

describe('mlflowReporter', () => {
  it('makes an experiment and a run, logs settings and metrics once, and ends it', async () => {
    const { experiments, runs, handler } = mlflowServer()
    const { url } = await server(flaky(handler))
    const reporter = () =>
      mlflowReporter({ trackingUri: `${url}/`, experimentName: 'a new one', token: KEY }, tracking())
    await train(reporter(), [1, 2, 3], { ended: 'interrupted' })
    await train(reporter(), [3, 4], { resumedStep: 2 })
    expect(experiments.get('a new one')).toBe('1')
    expect([...runs.keys()]).toEqual(['run0'])
    const { run, params, metrics, states } = runs.get('run0')!
    expect(run).toMatchObject({ experiment_id: '1', run_name: 'first run' })
    expect(Object.fromEntries(params)).toMatchObject({ learning_rate: '0.00002', lr_scheduler_type: 'linear' })
    expect(new Set(params.map(([key]) => key)).size).toBe(params.length)
    expect(metrics.filter(([key]) => key === 'train/loss')).toEqual([
      ['train/loss', 1, 1],
      ['train/loss', 0.5, 2],
      ['train/loss', 1 / 3, 3],
      ['train/loss', 0.25, 4],
    ])
    expect(metrics.filter(([key]) => key === 'eval/rouge_l')).toEqual([
      ['eval/rouge_l', 'NaN', 3],
      ['eval/rouge_l', 'NaN', 4],
    ])
    expect(states).toEqual(['RUNNING', 'KILLED', 'RUNNING', 'FINISHED'])
    expect(said.join()).not.toContain(KEY)
  })

  it('keeps to the limits of a batch', async () => {
    const { runs, handler } = mlflowServer()
    const { url } = await server(handler)
    const steps = Array.from({ length: 250 }, (_, i) => i + 1)
    await train(mlflowReporter({ trackingUri: url, token: KEY }, tracking()), steps)
    expect(runs.get('run0')!.metrics.filter(([key]) => key === 'train/loss')).toHaveLength(250)
    expect(warnings()).toEqual([])
  })
})

interface Log {
  project: string
  run: string
  step: number
  metrics: Record<string, number>
  config: object
}

/** Trackio's dashboard: `bulk_log` with a write token; a log_id counts once. */
function trackioServer() {
  const logs = new Map<string, Log>()
  const handler = ({ path, headers, body }: FakeRequest): FakeAnswer => {
    if (path === '/version') return { body: { version: '1.0.0', api_version: 1, api_transport: 'http' } }
    if (path !== '/api/bulk_log') return { status: 404, body: { error: 'Unknown API' } }
    if (headers['x-trackio-write-token'] !== KEY) return { status: 400, body: { error: 'A write_token is required' } }
    const { kwargs } = body as { kwargs: { logs: never[]; hf_token: null } }
    expect(kwargs.hf_token).toBeNull()
    for (const entry of kwargs.logs as unknown as (Log & { log_id: string })[])
      if (!logs.has(entry.log_id)) logs.set(entry.log_id, entry)
    return { body: { data: null } }
  }
  return { logs, handler }
}

describe('trackioReporter', () => {
  it('logs to a dashboard, its settings with the first log', async () => {
    const { logs, handler } = trackioServer()
    const { url } = await server(flaky(handler))
    const reporter = () =>
      trackioReporter(
        { serverUrl: `${url}/?write_token=${KEY}`, project: 'mine', hfToken: 'not for others' },
        tracking(),
      )
    await train(reporter(), [1, 2, 3], { ended: 'interrupted' })
    await train(reporter(), [3, 4], { resumedStep: 2 })
    const all = [...logs.values()]
    expect(all.map(({ step, metrics }) => [step, metrics['train/loss'] ?? metrics['eval/rouge_l']])).toEqual([
      [1, 1],
      [2, 0.5],
      [3, 1 / 3],
      [3, 'NaN'],
      [4, 0.25],
      [4, 'NaN'],
    ])
    expect(new Set(all.map(({ project, run }) => `${project} ${run}`))).toEqual(new Set(['mine first run']))
    expect(all.filter(({ config }) => config)).toHaveLength(1)
    expect(all[0]!.config).toMatchObject({ learning_rate: 2e-5 })
    expect(said.join()).not.toContain(KEY)
  })

  it('says once that a token is wrong or a server is none', async () => {
    const { handler } = trackioServer()
    const { url } = await server(handler)
    await train(trackioReporter({ serverUrl: url, writeToken: 'wrong' }, tracking()), [1])
    expect(warnings()).toEqual([expect.stringContaining('A write_token is required')])
    said = []
    const other = await server(() => ({ body: { hello: 'world' } }))
    await train(trackioReporter({ serverUrl: other.url }, tracking()), [1])
    expect(said).toEqual([expect.stringContaining('no Trackio dashboard')])
  })
})

describe('a service that is not there', () => {
  it('costs training nothing but a warning, and the end a limited wait', async () => {
    // A server that takes the connection and never answers.
    const { url } = await server(() => undefined)
    const reporter = mlflowReporter({ trackingUri: url }, { ...tracking(), flushMs: 100 })
    const start = performance.now()
    await reporter.onTrainBegin!(plan({ outputDir: folder }), context())
    for (let step = 1; step <= 1000; step++) await reporter.onLog!(trainLog({ step }), context())
    expect(performance.now() - start).toBeLessThan(1000)
    await reporter.onTrainEnd!(result(), context())
    expect(performance.now() - start).toBeLessThan(3000)
    expect(said).toEqual(['warning: MLflow did not take 1000 logs; logs.jsonl has them all'])
  })

  it('is tried again until it is there', async () => {
    const { runs, handler } = mlflowServer()
    let up = false
    const { url } = await server((request) => (up ? handler(request) : { status: 502, body: 'starting' }))
    const reporter = mlflowReporter({ trackingUri: url, token: KEY }, tracking())
    await reporter.onTrainBegin!(plan({ outputDir: folder }), context())
    await reporter.onLog!(trainLog({ step: 1 }), context())
    await new Promise((resolve) => setTimeout(resolve, 60))
    up = true
    await reporter.onTrainEnd!(result(), context())
    expect(runs.get('run0')!.states).toEqual(['RUNNING', 'FINISHED'])
    expect(warnings()).toEqual([expect.stringMatching(/answered 502.*training goes on/)])
  })

  it('hears of a training that failed', async () => {
    const { runs, handler } = mlflowServer()
    const { url } = await server(handler)
    const reporter = mlflowReporter({ trackingUri: url, token: KEY }, tracking())
    await reporter.onTrainBegin!(plan({ outputDir: folder }), context())
    await reporter.onTrainError!({ error: new Error('the loss is NaN') }, context())
    expect(runs.get('run0')!.states).toEqual(['RUNNING', 'FAILED'])
  })

  it('keeps a bounded number of logs, the newest', async () => {
    const { runs, handler } = mlflowServer()
    let up = false
    const { url } = await server((request) => (up ? handler(request) : { status: 503 }))
    const reporter = mlflowReporter({ trackingUri: url, token: KEY }, { ...tracking(), capacity: 5 })
    await reporter.onTrainBegin!(plan({ outputDir: folder }), context())
    for (let step = 1; step <= 20; step++) await reporter.onLog!(trainLog({ step }), context())
    up = true
    await reporter.onTrainEnd!(result(), context())
    const steps = runs
      .get('run0')!
      .metrics.filter(([key]) => key === 'train/loss')
      .map(([, , step]) => step)
    expect(steps).toEqual([16, 17, 18, 19, 20])
    expect(warnings().at(-1)).toContain('did not take 15 logs')
  })

  it('needs its settings, and training does not', async () => {
    const names = ['WANDB_API_KEY', 'WANDB_BASE_URL', 'MLFLOW_TRACKING_URI', 'TRACKIO_SERVER_URL', 'TRACKIO_SPACE_ID']
    const saved = names.map((name) => process.env[name])
    for (const name of names) delete process.env[name]
    try {
      const reporters = [
        wandbReporter({ baseUrl: 'http://wandb.invalid' }, tracking()),
        mlflowReporter({}, tracking()),
        trackioReporter({}, tracking()),
      ]
      for (const reporter of reporters) await train(reporter, [1])
    } finally {
      names.forEach((name, i) => {
        if (saved[i] !== undefined) process.env[name] = saved[i]
      })
    }
    expect(said).toHaveLength(3)
    for (const name of ['WANDB_API_KEY', 'MLFLOW_TRACKING_URI', 'TRACKIO_SERVER_URL'])
      expect(said.join()).toContain(name)
  })
})
