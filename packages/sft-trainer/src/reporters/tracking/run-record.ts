import { readFile } from 'node:fs/promises'
import { writeFileAtomic } from '@tunesmith/core'
import type { MetricPoint, RunIdentity } from './service'

interface RunRecordFile {
  identity: RunIdentity
  /** The last step delivered, of training logs and of evaluations. */
  delivered: Record<string, number>
}

const kindOf = ({ metrics }: MetricPoint) =>
  Object.keys(metrics).some((name) => name.startsWith('eval/')) ? 'eval' : 'train'

/**
 * Which run of a service a training is, and what was delivered: a resumed training goes on with the same run, and the steps
 * it repeats are not sent again.
 */
export class RunRecord {
  #content: RunRecordFile | undefined

  constructor(readonly path: string) {}

  async load(): Promise<RunIdentity | undefined> {
    const text = await readFile(this.path, 'utf8').catch(() => undefined)
    try {
      this.#content = text === undefined ? undefined : JSON.parse(text)
    } catch {
      this.#content = undefined
    }
    return this.#content?.identity
  }

  has(point: MetricPoint): boolean {
    return point.step <= (this.#content?.delivered[kindOf(point)] ?? -1)
  }

  async opened(identity: RunIdentity): Promise<void> {
    await this.#save({ identity, delivered: this.#content?.delivered ?? {} })
  }

  async delivered(points: readonly MetricPoint[]): Promise<void> {
    const delivered = { ...this.#content?.delivered }
    for (const point of points) delivered[kindOf(point)] = point.step
    await this.#save({ identity: this.#content!.identity, delivered })
  }

  async #save(content: RunRecordFile): Promise<void> {
    this.#content = content
    await writeFileAtomic(this.path, `${JSON.stringify(content)}\n`)
  }
}
