import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { homedir, hostname } from 'node:os'
import { join } from 'node:path'
import { invalidOptions, parseOptions, RequestError, requestJson } from '@tunesmith/core'
import { z } from 'zod'
import type { TrainerCallback } from '../../callbacks/events'
import type { MetricPoint, RunEnding, RunStart, TrackingService } from './service'
import { type TrackingOptions, trackingReporter } from './tracking-reporter'

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
export function wandbReporter(options: WandbOptions = {}, tracking?: TrackingOptions): TrainerCallback {
  const parsed = parseOptions(schema, options, 'wandbReporter')
  return trackingReporter('wandb', () => new Wandb(parsed), tracking)
}

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

class Wandb implements TrackingService {
  readonly title = 'Weights & Biases'
  readonly secrets: string[]
  readonly #root: string
  readonly #headers: Record<string, string>
  #run: Record<string, string | null> = {}
  #settings: Record<string, unknown> = {}
  /** Metrics whose charts have their axis. */
  readonly #defined = new Set<string>()
  #stream = ''
  #started = 0
  /** Lines of history the server has. */
  #lines = 0
  #summary: Record<string, unknown> = {}

  constructor(readonly options: z.output<typeof schema>) {
    const { env } = process
    this.#root = (options.baseUrl ?? env.WANDB_BASE_URL ?? 'https://api.wandb.ai').replace(/\/+$/, '')
    const key = options.apiKey ?? env.WANDB_API_KEY ?? netrcPassword(new URL(this.#root).hostname)
    if (!key)
      throw invalidOptions('Weights & Biases gets no logs: there is no API key', {
        where: 'WANDB_API_KEY',
        remedy: 'Set it to the key of your account',
      })
    const credentials = Buffer.from(`api:${key}`).toString('base64')
    this.secrets = [key, credentials]
    this.#headers = { authorization: `Basic ${credentials}` }
  }

  async open({ runName, settings, continued, time }: RunStart, signal: AbortSignal) {
    const { env } = process
    this.#started = time
    this.#run = {
      name: this.#run.name ?? continued?.runId ?? env.WANDB_RUN_ID ?? randomBytes(4).toString('hex'),
      project: continued?.project ?? this.options.project ?? env.WANDB_PROJECT ?? 'tunesmith',
      entity: continued?.entity ?? this.options.entity ?? env.WANDB_ENTITY ?? null,
    }
    this.#settings = Object.fromEntries(Object.entries(settings).map(([key, value]) => [key, { value }]))
    const begin = { displayName: env.WANDB_NAME ?? runName, host: hostname(), state: 'running' }
    const bucket = await this.#upsert({ ...begin, ...(continued ? {} : { config: this.#config([]) }) }, signal)
    for (const name of definedNames(bucket.config)) this.#defined.add(name)
    this.#lines = bucket.historyLineCount ?? 0
    const [project, entity, runId] = [bucket.project.name, bucket.project.entity.name, this.#run.name!]
    this.#stream = `${this.#root}/files/${[entity, project, runId].map(encodeURIComponent).join('/')}/file_stream`
    const pages = this.#root.replace('//api.', '//')
    return { identity: { runId, project, entity }, url: `${pages}/${entity}/${project}/runs/${runId}` }
  }

  #config(metrics: readonly string[]): string {
    return JSON.stringify({ ...this.#settings, _wandb: { value: { m: definitions(metrics) } } })
  }

  async #upsert(values: Record<string, string>, signal: AbortSignal) {
    const url = `${this.#root}/graphql`
    const body = { operationName: 'UpsertRun', query: UPSERT, variables: { ...this.#run, ...values } }
    const { data, errors } = await requestJson<UpsertAnswer>(url, { headers: this.#headers, body, signal })
    const bucket = data?.upsertBucket?.bucket
    if (bucket && !errors?.length) return bucket
    throw new RequestError(`${url} refused the run: ${errors?.[0]?.message ?? 'no run came back'}`, false)
  }

  #post(body: object, signal: AbortSignal): Promise<unknown> {
    return requestJson(this.#stream, { headers: this.#headers, body, signal })
  }

  async send(points: readonly MetricPoint[], signal: AbortSignal): Promise<void> {
    const names = new Set(points.flatMap(({ metrics }) => Object.keys(metrics)))
    const unknown = [...names].filter((name) => !this.#defined.has(name))
    if (unknown.length > 0) {
      await this.#upsert({ config: this.#config([...this.#defined, ...unknown]) }, signal)
      for (const name of unknown) this.#defined.add(name)
    }
    const rows = points.map(({ step, time, metrics }, i) => ({
      ...metrics,
      [STEP]: step,
      _step: this.#lines + i,
      _runtime: (time - this.#started) / 1000,
      _timestamp: time / 1000,
    }))
    const summary = Object.assign({ ...this.#summary }, ...rows)
    // The offset makes a repeated request write the same lines again.
    await this.#post(
      {
        files: {
          'wandb-history.jsonl': { offset: this.#lines, content: rows.map(jsonLine) },
          'wandb-summary.json': { offset: 0, content: [jsonLine(summary)] },
        },
      },
      signal,
    )
    this.#summary = summary
    this.#lines += rows.length
  }

  async heartbeat(signal: AbortSignal): Promise<void> {
    await this.#post({}, signal)
  }

  async close(ending: RunEnding, signal: AbortSignal): Promise<void> {
    // An interrupted run goes on later: the server is told to wait for it.
    await this.#post(
      ending === 'interrupted' ? { preempting: true } : { complete: true, exitcode: ending === 'failed' ? 1 : 0 },
      signal,
    )
  }
}
