import { type ChildProcess, fork } from 'node:child_process'
import type { Readable } from 'node:stream'

/** Why a process was stopped or ended while it worked. */
export type StopReason = 'time' | 'memory' | 'ended'

export class ProcessStopped extends Error {
  constructor(readonly reason: StopReason) {
    super(`The process stopped: ${reason}`)
  }
}

export interface DecoderProcessOptions {
  /** The heap and the resident memory the process may have. */
  megabytes: number
}

interface Job {
  resolve(result: unknown): void
  reject(error: unknown): void
}

type Answer = { result: unknown } | { error: Record<string, unknown> }

/**
 * A process that does one job at a time, sent to it as a message. In a thread an engine that is asked for a list beyond
 * its limits ends the whole program; here it ends this process. It never keeps a program from ending.
 */
export class DecoderProcess {
  readonly #child: ChildProcess
  readonly #jobs: Job[] = []
  #reason: StopReason = 'ended'
  #ended = false

  constructor(file: string, { megabytes }: DecoderProcessOptions) {
    this.#child = fork(file, [String(megabytes)], {
      serialization: 'advanced',
      execArgv: [`--max-old-space-size=${megabytes}`],
      env: { ...process.env, NODE_OPTIONS: '' },
      // The fourth stream says why the process ends itself.
      stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'ipc'],
    })
    const why = this.#child.stdio[3] as Readable & { unref(): void }
    why.on('data', (text: Buffer) => {
      this.#reason = String(text) as StopReason
    })
    why.unref()
    this.#child.on('message', (answer: Answer) => {
      const job = this.#jobs.shift()
      if (this.#jobs.length === 0) this.#rest()
      if ('error' in answer) job?.reject(Object.assign(new Error(), answer.error))
      else job?.resolve(answer.result)
    })
    this.#child.on('error', () => this.#end())
    // Not "exit": the last words on the fourth stream come before "close".
    this.#child.on('close', (_code, signal) => {
      // The engine gives up by one of these signals when it cannot have the memory it needs.
      if (this.#reason === 'ended' && /SIGABRT|SIGTRAP|SIGILL/.test(signal ?? '')) this.#reason = 'memory'
      this.#end()
    })
    this.#rest()
  }

  get ended(): boolean {
    return this.#ended
  }

  /** Whether it works at a job. */
  get busy(): boolean {
    return this.#jobs.length > 0
  }

  /**
   * Does a job after those before it.
   *
   * @param milliseconds of computing after which the process is ended.
   * @throws the error of the job, with its own properties; {@link ProcessStopped}.
   */
  run<Result>(job: object, milliseconds: number): Promise<Result> {
    if (this.#ended) return Promise.reject(new ProcessStopped(this.#reason))
    return new Promise<Result>((resolve, reject) => {
      this.#jobs.push({ resolve: resolve as Job['resolve'], reject })
      this.#child.ref()
      this.#child.channel?.ref()
      this.#child.send({ job, milliseconds }, (error) => error && this.close())
    })
  }

  close(): void {
    this.#child.kill('SIGKILL')
    this.#end()
  }

  #rest(): void {
    this.#child.unref()
    this.#child.channel?.unref()
  }

  #end(): void {
    this.#ended = true
    for (const { reject } of this.#jobs.splice(0)) reject(new ProcessStopped(this.#reason))
  }
}
