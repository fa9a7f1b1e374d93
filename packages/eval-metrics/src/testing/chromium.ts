import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome']

/** A Chromium on this machine, or undefined with the reason printed. TUNESMITH_CHROMIUM names one elsewhere. */
export function findChromium(): string | undefined {
  const given = process.env.TUNESMITH_CHROMIUM
  const folders = (process.env.PATH ?? '').split(delimiter)
  const found = given ? [given] : folders.flatMap((folder) => NAMES.map((name) => join(folder, name)))
  const path = found.find((candidate) => existsSync(candidate))
  if (!path) console.warn('skipped: no Chromium on the PATH; install one or set TUNESMITH_CHROMIUM to test pages in it')
  return path
}

interface Message {
  id?: number
  sessionId?: string
  method?: string
  params?: unknown
  result?: unknown
  error?: { message: string }
}

/** One page in a headless Chromium, driven by the DevTools protocol over a pipe. */
export class ChromiumPage {
  readonly #process: ChildProcess
  readonly #folder: string
  readonly #waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>()
  readonly #events: Message[] = []
  #next = 1
  #session: string | undefined
  #rest = ''

  private constructor(path: string, folder: string) {
    this.#folder = folder
    const flags = [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--remote-debugging-pipe',
      `--user-data-dir=${folder}`,
    ]
    this.#process = spawn(path, flags, { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] })
    this.#process.stdio[4]?.on('data', (chunk: Buffer) => this.#read(chunk))
  }

  static async open(path: string): Promise<ChromiumPage> {
    const page = new ChromiumPage(path, await mkdtemp(join(tmpdir(), 'chromium-')))
    const { targetId } = await page.send<{ targetId: string }>('Target.createTarget', { url: 'about:blank' })
    const attached = await page.send<{ sessionId: string }>('Target.attachToTarget', { targetId, flatten: true })
    page.#session = attached.sessionId
    for (const domain of ['Page', 'Runtime', 'Log', 'Network']) await page.send(`${domain}.enable`)
    return page
  }

  #read(chunk: Buffer): void {
    const parts = (this.#rest + chunk.toString('utf8')).split('\0')
    this.#rest = parts.pop() ?? ''
    for (const part of parts) {
      const message = JSON.parse(part) as Message
      const waiter = message.id === undefined ? undefined : this.#waiting.get(message.id)
      if (!waiter) this.#events.push(message)
      else if (message.error) waiter.reject(new Error(message.error.message))
      else waiter.resolve(message.result)
    }
  }

  send<Result>(method: string, params: object = {}): Promise<Result> {
    const id = this.#next++
    const input = this.#process.stdio[3] as NodeJS.WritableStream
    input.write(`${JSON.stringify({ id, method, params, sessionId: this.#session })}\0`)
    return new Promise((resolve, reject) =>
      this.#waiting.set(id, { resolve: resolve as (value: unknown) => void, reject }),
    )
  }

  async evaluate<Result>(expression: string): Promise<Result> {
    const { result, exceptionDetails } = await this.send<{
      result: { value: Result }
      exceptionDetails?: { exception?: { description?: string } }
    }>('Runtime.evaluate', { expression, returnByValue: true, awaitPromise: true })
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description)
    return result.value
  }

  /** Loads a page as a window of this width, in this colour scheme. */
  async show(url: string, width: number, scheme: 'light' | 'dark'): Promise<void> {
    this.#events.length = 0
    await this.send('Emulation.setDeviceMetricsOverride', {
      width,
      height: 900,
      deviceScaleFactor: 1,
      mobile: width < 600,
    })
    await this.send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: scheme }] })
    await this.send('Page.navigate', { url })
    for (let i = 0; i < 200; i++) {
      if (this.#events.some(({ method }) => method === 'Page.loadEventFired')) return
      await new Promise((resolve) => setTimeout(resolve, 25))
    }
    throw new Error('the page did not load')
  }

  /** Errors, dialogs and requests beyond the page itself, since it was shown. */
  problems(): string[] {
    const bad = [
      'Runtime.exceptionThrown',
      'Log.entryAdded',
      'Page.javascriptDialogOpening',
      'Runtime.consoleAPICalled',
    ]
    const requests = this.#events.filter(({ method }) => method === 'Network.requestWillBeSent').slice(1)
    const events = this.#events.filter(({ method }) => bad.includes(method ?? ''))
    return [...events, ...requests].map(({ method, params }) => `${method} ${JSON.stringify(params)}`)
  }

  /** A PNG of the whole page. */
  async screenshot(): Promise<Buffer> {
    const { data } = await this.send<{ data: string }>('Page.captureScreenshot', { captureBeyondViewport: true })
    return Buffer.from(data, 'base64')
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.#process.once('exit', resolve))
    this.#process.kill('SIGKILL')
    await ended
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
  }
}
