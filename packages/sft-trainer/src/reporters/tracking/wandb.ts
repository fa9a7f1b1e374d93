import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { homedir, hostname } from 'node:os'
import { join } from 'node:path'
import { parseOptions, TunesmithError } from '@tunesmith/core'
import { z } from 'zod'
import type { TrainerCallback } from '../../events'
import { jsonNumber, RequestError, requestJson } from './request'
import { flatSettings, type MetricPoint, type RunEnding, type RunStart, type TrackingService } from './service'
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
  fetch: z.custom<typeof fetch>((value) => typeof value === 'function').default(() => fetch),
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
    bucket { name historyLineCount project { name entity { name } } }
  }
}`

interface UpsertAnswer {
  data?: {
    upsertBucket?: {
      bucket: { name: string; historyLineCount: number | null; project: { name: string; entity: { name: string } } }
    }
  }
  errors?: { message: string }[]
}

/** Charts are drawn over the training's step: the metric definitions of wandb's `define_metric`, as it stores them. */
const STEP_METRIC = [
  { '1': 'train/global_step', '6': [3] },
  { '2': '*', '5': 1, '6': [1] },
]

class Wandb implements TrackingService {
  readonly title = 'Weights & Biases'
  readonly secrets: string[]
  readonly #root: string
  readonly #headers: Record<string, string>
  #runId = ''
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
      throw new TunesmithError('Weights & Biases gets no logs: there is no API key', {
        code: 'invalid_options',
        where: 'WANDB_API_KEY',
        remedy: 'Set it to the key of your account',
      })
    const credentials = Buffer.from(`api:${key}`).toString('base64')
    this.secrets = [key, credentials]
    this.#headers = { authorization: `Basic ${credentials}` }
  }

  async open({ runName, config, continued, time }: RunStart, signal: AbortSignal) {
    const { env } = process
    this.#runId ||= continued?.runId ?? env.WANDB_RUN_ID ?? randomBytes(4).toString('hex')
    this.#started = time
    const settings: Record<string, unknown> = flatSettings(config)
    const wrapped = Object.fromEntries(Object.entries(settings).map(([key, value]) => [key, { value }]))
    const variables = {
      name: this.#runId,
      project: continued?.project ?? this.options.project ?? env.WANDB_PROJECT ?? 'tunesmith',
      entity: continued?.entity ?? this.options.entity ?? env.WANDB_ENTITY ?? null,
      displayName: env.WANDB_NAME ?? runName,
      config: JSON.stringify({ ...wrapped, _wandb: { value: { m: STEP_METRIC } } }),
      host: hostname(),
      state: 'running',
    }
    const { fetch } = this.options
    const url = `${this.#root}/graphql`
    const body = { operationName: 'UpsertRun', query: UPSERT, variables }
    const answer = (await requestJson(url, { headers: this.#headers, body, signal, fetch })) as UpsertAnswer
    const bucket = answer.data?.upsertBucket?.bucket
    if (!bucket || answer.errors?.length)
      throw new RequestError(`${url} refused the run: ${answer.errors?.[0]?.message ?? 'no run came back'}`, false)
    const [project, entity] = [bucket.project.name, bucket.project.entity.name]
    this.#lines = bucket.historyLineCount ?? 0
    this.#stream = `${this.#root}/files/${[entity, project, this.#runId].map(encodeURIComponent).join('/')}/file_stream`
    const pages = this.#root.replace('//api.', '//')
    return {
      identity: { runId: this.#runId, project, entity },
      url: `${pages}/${entity}/${project}/runs/${this.#runId}`,
    }
  }

  #post(body: object, signal: AbortSignal): Promise<unknown> {
    return requestJson(this.#stream, { headers: this.#headers, body, signal, fetch: this.options.fetch })
  }

  async send(points: readonly MetricPoint[], signal: AbortSignal): Promise<void> {
    const rows = points.map(({ step, time, metrics }, i) => ({
      ...Object.fromEntries(Object.entries(metrics).map(([key, value]) => [key, jsonNumber(value)])),
      'train/global_step': step,
      _step: this.#lines + i,
      _runtime: (time - this.#started) / 1000,
      _timestamp: time / 1000,
    }))
    const summary = Object.assign({ ...this.#summary }, ...rows)
    // The offset makes a repeated request write the same lines again.
    await this.#post(
      {
        files: {
          'wandb-history.jsonl': { offset: this.#lines, content: rows.map((row) => JSON.stringify(row)) },
          'wandb-summary.json': { offset: 0, content: [JSON.stringify(summary)] },
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
    await this.#post(ending === 'interrupted' ? { preempting: true } : { complete: true, exitcode: 0 }, signal)
  }
}
