import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { homedir, hostname } from 'node:os'
import { join } from 'node:path'
import { invalidOptions, RequestError, rememberSecret, requestJson } from '@tunesmith/core'
import { z } from 'zod'
import type { TrackingService } from './service'
import { reporterOf } from './tracking-reporter'

const schema = z.strictObject({
  /** Default `WANDB_API_KEY`, or what `wandb login` left in `~/.netrc`. */
  apiKey: z.string().optional(),
  /** Default `WANDB_BASE_URL`, or https://api.wandb.ai. */
  baseUrl: z.string().optional(),
  /** Default `WANDB_ENTITY`, or the key's own. */
  entity: z.string().optional(),
  /** Default `WANDB_PROJECT`, or "tunesmith". */
  project: z.string().optional(),
})
export type WandbOptions = z.input<typeof schema>

/** Reports to Weights & Biases, through the HTTP API its own client uses. */
export const wandbReporter = reporterOf('wandb', schema, wandb)

/** The password of a host in `~/.netrc`, where `wandb login` keeps the key. */
function netrcPassword(host: string): string | undefined {
  try {
    const words = readFileSync(join(homedir(), '.netrc'), 'utf8').split(/\s+/)
    const machine = words.findIndex((word, i) => word === 'machine' && words[i + 1] === host)
    const password = machine < 0 ? -1 : words.indexOf('password', machine)
    return password < 0 ? undefined : words[password + 1]
  } catch {
    return undefined
  }
}

const UPSERT = `mutation UpsertRun($name: String!, $project: String, $entity: String, $displayName: String, $config: JSONString, $host: String, $state: String) {
  upsertBucket(input: {name: $name, modelName: $project, entityName: $entity, displayName: $displayName, config: $config, host: $host, state: $state}) {
    bucket { name config historyLineCount project { name entity { name } } }
  }
}`

interface UpsertAnswer {
  data?: {
    upsertBucket?: {
      bucket: {
        config: string | null
        historyLineCount: number | null
        project: { name: string; entity: { name: string } }
      }
    }
  }
  errors?: { message: string }[]
}

const STEP = 'train/global_step'

/** What wandb's `define_metric` stores for charts over the training's step: names, and of which one the axis is. */
const definitions = (names: readonly string[]) => [
  { '1': STEP, '6': [3] },
  ...names.map((name) => ({ '1': name, '5': 1, '6': [1, 3] })),
]

/** The names in a run's stored configuration. */
function definedNames(config: string | null): string[] {
  try {
    const stored: { '1': string }[] = JSON.parse(config ?? '{}')._wandb.value.m
    return stored.map((definition) => definition['1']).filter((name) => name !== STEP)
  } catch {
    return []
  }
}

/** A line of history, where numbers that JSON does not have stand as Python writes them. */
const jsonLine = (row: Record<string, unknown>) =>
  `{${Object.entries(row)
    .map(([key, value]) => `${JSON.stringify(key)}:${typeof value === 'number' ? value : JSON.stringify(value)}`)
    .join(',')}}`

function wandb(options: z.output<typeof schema>): TrackingService {
  const { env } = process
  const root = (options.baseUrl ?? env.WANDB_BASE_URL ?? 'https://api.wandb.ai').replace(/\/+$/, '')
  const key = options.apiKey ?? env.WANDB_API_KEY ?? netrcPassword(new URL(root).hostname)
  if (!key)
    throw invalidOptions('Weights & Biases gets no logs: there is no API key', {
      where: 'WANDB_API_KEY',
      remedy: 'Set it to the key of your account',
    })
  rememberSecret(key)
  const credentials = Buffer.from(`api:${key}`).toString('base64')
  const headers = { authorization: `Basic ${credentials}` }
  let run: Record<string, string | null> = {}
  let config: Record<string, unknown> = {}
  /** Metrics whose charts have their axis. */
  const defined = new Set<string>()
  let stream = ''
  let started = 0
  /** Lines of history the server has. */
  let lines = 0
  let summary: Record<string, unknown> = {}

  const configOf = (metrics: readonly string[]) =>
    JSON.stringify({ ...config, _wandb: { value: { m: definitions(metrics) } } })

  async function upsert(values: Record<string, string>, signal: AbortSignal) {
    const url = `${root}/graphql`
    const body = { operationName: 'UpsertRun', query: UPSERT, variables: { ...run, ...values } }
    const { data, errors } = await requestJson<UpsertAnswer>(url, { headers, body, signal })
    const bucket = data?.upsertBucket?.bucket
    if (bucket && !errors?.length) return bucket
    throw new RequestError(`${url} refused the run: ${errors?.[0]?.message ?? 'no run came back'}`, false)
  }

  const post = (body: object, signal: AbortSignal): Promise<void> => requestJson(stream, { headers, body, signal })

  return {
    title: 'Weights & Biases',
    async open({ runName, settings, continued, time }, signal) {
      started = time
      run = {
        name: run.name ?? continued?.runId ?? env.WANDB_RUN_ID ?? randomBytes(4).toString('hex'),
        project: continued?.project ?? options.project ?? env.WANDB_PROJECT ?? 'tunesmith',
        entity: continued?.entity ?? options.entity ?? env.WANDB_ENTITY ?? null,
      }
      config = Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, { value }]))
      const begin = { displayName: env.WANDB_NAME ?? runName, host: hostname(), state: 'running' }
      const bucket = await upsert({ ...begin, ...(continued ? {} : { config: configOf([]) }) }, signal)
      for (const name of definedNames(bucket.config)) defined.add(name)
      lines = bucket.historyLineCount ?? 0
      const [project, entity, runId] = [bucket.project.name, bucket.project.entity.name, run.name!]
      stream = `${root}/files/${[entity, project, runId].map(encodeURIComponent).join('/')}/file_stream`
      const pages = root.replace('//api.', '//')
      return { identity: { runId, project, entity }, url: `${pages}/${entity}/${project}/runs/${runId}` }
    },
    async send(points, signal) {
      const names = new Set(points.flatMap(({ metrics }) => Object.keys(metrics)))
      const unknown = [...names].filter((name) => !defined.has(name))
      if (unknown.length > 0) {
        await upsert({ config: configOf([...defined, ...unknown]) }, signal)
        for (const name of unknown) defined.add(name)
      }
      const rows = points.map(({ step, time, metrics }, i) => ({
        ...metrics,
        [STEP]: step,
        _step: lines + i,
        _runtime: (time - started) / 1000,
        _timestamp: time / 1000,
      }))
      const latest = Object.assign({ ...summary }, ...rows)
      // The offset makes a repeated request write the same lines again.
      const files = {
        'wandb-history.jsonl': { offset: lines, content: rows.map(jsonLine) },
        'wandb-summary.json': { offset: 0, content: [jsonLine(latest)] },
      }
      await post({ files }, signal)
      summary = latest
      lines += rows.length
    },
    heartbeat: (signal) => post({}, signal),
    // An interrupted run goes on later: the server is told to wait for it.
    close: (ending, signal) =>
      post(
        ending === 'interrupted' ? { preempting: true } : { complete: true, exitcode: ending === 'failed' ? 1 : 0 },
        signal,
      ),
  }
}
