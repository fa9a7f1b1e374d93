import { createHash, randomUUID } from 'node:crypto'
import { invalidOptions, RequestError, requestJson } from '@tunesmith/core'
import { z } from 'zod'
import { jsonNumber, type TrackingService } from './service'
import { reporterOf } from './tracking-reporter'

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
export const trackioReporter = reporterOf('trackio', schema, trackio)

/** Spaces live on subdomains. */
function spaceUrl(id: string): string {
  return `https://${id.replace(/[/_.]/g, '-').toLowerCase()}.hf.space`
}

function trackio(options: z.output<typeof schema>): TrackingService {
  const { env } = process
  const space = options.spaceId ?? (options.serverUrl ? undefined : env.TRACKIO_SPACE_ID)
  const given = options.serverUrl ?? (space ? spaceUrl(space) : env.TRACKIO_SERVER_URL)
  if (!given)
    throw invalidOptions('Trackio gets no logs: there is no dashboard', {
      where: 'TRACKIO_SERVER_URL',
      remedy: "Set it to a dashboard's address, or TRACKIO_SPACE_ID to a Space",
    })
  const url = new URL(given)
  const root = (url.origin + url.pathname).replace(/\/+$/, '')
  const project = options.project ?? env.TRACKIO_PROJECT ?? 'tunesmith'
  // A Hugging Face token goes to Hugging Face only.
  const hfToken = url.hostname.endsWith('.hf.space') ? (options.hfToken ?? env.HF_TOKEN ?? null) : null
  const writeToken = options.writeToken ?? url.searchParams.get('write_token') ?? env.TRACKIO_WRITE_TOKEN
  const headers: Record<string, string> = {
    ...(hfToken && { authorization: `Bearer ${hfToken}` }),
    ...(writeToken && { 'x-trackio-write-token': writeToken }),
  }
  let run = { name: '', id: '' }
  let config: Record<string, unknown> | undefined

  return {
    title: 'Trackio',
    async open({ runName, settings, continued }, signal) {
      const { api_version } = await requestJson<{ api_version?: number }>(`${root}/version`, { headers, signal })
      if (api_version !== 1)
        throw new RequestError(`${root} is no Trackio dashboard with the HTTP API 1; update it`, false)
      run = continued ? { name: continued.name!, id: continued.id! } : { name: runName, id: run.id || randomUUID() }
      config = continued ? undefined : settings
      return { identity: { ...run, project }, url: `${root}/?project=${encodeURIComponent(project)}` }
    },
    async send(points, signal) {
      const logs = points.map(({ step, metrics }, i) => ({
        project,
        run: run.name,
        run_id: run.id,
        metrics: Object.fromEntries(Object.entries(metrics).map(([key, value]) => [key, jsonNumber(value)])),
        step,
        config: i === 0 ? (config ?? null) : null,
        // The same for the same log, so that the server can leave out what comes twice.
        log_id: createHash('sha256')
          .update(`${run.id} ${step} ${Object.keys(metrics)}`)
          .digest('hex')
          .slice(0, 32),
      }))
      const address = `${root}/api/bulk_log`
      const body = { args: [], kwargs: { logs, hf_token: hfToken } }
      const { error } = await requestJson<{ error?: string | null }>(address, { headers, body, signal })
      if (error != null) throw new RequestError(`${address} refused the logs: ${error}`, false)
      config = undefined
    },
    async close() {},
  }
}
