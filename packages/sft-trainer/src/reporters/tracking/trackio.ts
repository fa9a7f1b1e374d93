import { createHash, randomUUID } from 'node:crypto'
import { invalidOptions, parseOptions, RequestError, requestJson } from '@tunesmith/core'
import { z } from 'zod'
import type { TrainerCallback } from '../../callbacks/events'
import { jsonNumber, type MetricPoint, type RunStart, type TrackingService } from './service'
import { type TrackingOptions, trackingReporter } from './tracking-reporter'

const schema = z.strictObject({
  /** A dashboard's address, may hold `?write_token=`. Default `TRACKIO_SERVER_URL`. */
  serverUrl: z.string().optional(),
  /** A dashboard on a Hugging Face Space, `user/name`, instead. Default `TRACKIO_SPACE_ID`. */
  spaceId: z.string().optional(),
  /** Default `TRACKIO_PROJECT`, or "tunesmith". */
  project: z.string().optional(),
  /** For a dashboard of one's own. Default the one in the address, or `TRACKIO_WRITE_TOKEN`. */
  writeToken: z.string().optional(),
  /** For a Space. Default `HF_TOKEN`. */
  hfToken: z.string().optional(),
})
export type TrackioOptions = z.input<typeof schema>

/** Reports to a Trackio dashboard, through the HTTP API its own remote client uses. */
export function trackioReporter(options: TrackioOptions = {}, tracking?: TrackingOptions): TrainerCallback {
  const parsed = parseOptions(schema, options, 'trackioReporter')
  return trackingReporter('trackio', () => new Trackio(parsed), tracking)
}

/** Spaces live on subdomains. */
function spaceUrl(id: string): string {
  return `https://${id.replace(/[/_.]/g, '-').toLowerCase()}.hf.space`
}

class Trackio implements TrackingService {
  readonly title = 'Trackio'
  readonly secrets: string[]
  readonly #root: string
  readonly #headers: Record<string, string> = {}
  readonly #hfToken: string | null = null
  readonly #project: string
  #run = { name: '', id: '' }
  #settings: Record<string, unknown> | undefined

  constructor(options: z.output<typeof schema>) {
    const { env } = process
    const space = options.spaceId ?? (options.serverUrl ? undefined : env.TRACKIO_SPACE_ID)
    const given = options.serverUrl ?? (space ? spaceUrl(space) : env.TRACKIO_SERVER_URL)
    if (!given)
      throw invalidOptions('Trackio gets no logs: there is no dashboard', {
        where: 'TRACKIO_SERVER_URL',
        remedy: "Set it to a dashboard's address, or TRACKIO_SPACE_ID to a Space",
      })
    const url = new URL(given)
    this.#root = (url.origin + url.pathname).replace(/\/+$/, '')
    this.#project = options.project ?? env.TRACKIO_PROJECT ?? 'tunesmith'
    // A Hugging Face token goes to Hugging Face only.
    if (url.hostname.endsWith('.hf.space')) {
      this.#hfToken = options.hfToken ?? env.HF_TOKEN ?? null
      if (this.#hfToken) this.#headers.authorization = `Bearer ${this.#hfToken}`
    }
    const writeToken = options.writeToken ?? url.searchParams.get('write_token') ?? env.TRACKIO_WRITE_TOKEN
    if (writeToken) this.#headers['x-trackio-write-token'] = writeToken
    this.secrets = [writeToken, this.#hfToken].flatMap((secret) => secret || [])
  }

  async open({ runName, settings, continued }: RunStart, signal: AbortSignal) {
    const version = `${this.#root}/version`
    const { api_version } = await requestJson<{ api_version?: number }>(version, { headers: this.#headers, signal })
    if (api_version !== 1)
      throw new RequestError(`${this.#root} is no Trackio dashboard with the HTTP API 1; update it`, false)
    this.#run = continued
      ? { name: continued.name!, id: continued.id! }
      : { name: runName, id: this.#run.id || randomUUID() }
    this.#settings = continued ? undefined : settings
    return {
      identity: { ...this.#run, project: this.#project },
      url: `${this.#root}/?project=${encodeURIComponent(this.#project)}`,
    }
  }

  async send(points: readonly MetricPoint[], signal: AbortSignal): Promise<void> {
    const logs = points.map(({ step, metrics }, i) => ({
      project: this.#project,
      run: this.#run.name,
      run_id: this.#run.id,
      metrics: Object.fromEntries(Object.entries(metrics).map(([key, value]) => [key, jsonNumber(value)])),
      step,
      config: i === 0 ? (this.#settings ?? null) : null,
      // The same for the same log, so that the server can leave out what comes twice.
      log_id: createHash('sha256')
        .update(`${this.#run.id} ${step} ${Object.keys(metrics)}`)
        .digest('hex')
        .slice(0, 32),
    }))
    const url = `${this.#root}/api/bulk_log`
    const body = { args: [], kwargs: { logs, hf_token: this.#hfToken } }
    const { error } = await requestJson<{ error?: string | null }>(url, { headers: this.#headers, body, signal })
    if (error != null) throw new RequestError(`${url} refused the logs: ${error}`, false)
    this.#settings = undefined
  }

  async close(): Promise<void> {}
}
