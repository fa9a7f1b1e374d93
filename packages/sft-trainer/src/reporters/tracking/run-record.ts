import { writeFileAtomic } from '@tunesmith/core'
import { readJsonFile } from '@tunesmith/hub'
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
 * it repeats are not sent again. A full disk does not end the reports.
 */
export class RunRecord {
  #content: RunRecordFile | undefined

  constructor(readonly path: string) {}

  async load(): Promise<RunIdentity | undefined> {
    this.#content = await readJsonFile<RunRecordFile>(this.path).catch(() => undefined)
    return this.#content?.identity
  }

  has(point: MetricPoint): boolean {
    return point.step <= (this.#content?.delivered[kindOf(point)] ?? -1)
  }

  /** Remembers the run, and the points that were delivered to it. */
  async save(identity: RunIdentity, points: readonly MetricPoint[] = []): Promise<void> {
    const delivered = { ...this.#content?.delivered }
    for (const point of points) delivered[kindOf(point)] = point.step
    this.#content = { identity, delivered }
    await writeFileAtomic(this.path, `${JSON.stringify(this.#content)}\n`).catch(() => undefined)
  }
}
