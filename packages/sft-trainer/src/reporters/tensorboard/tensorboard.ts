import { appendFile, mkdir } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import type { TrainerCallback } from '../../callbacks/events'
import { reportedMetrics } from '../metric-names'
import { fileVersion, markdown, scalars, sessionStart } from './events'
import type { Message } from './protobuf'
import { tfRecord } from './records'

/** Writes event files that TensorBoard reads; a resumed training begins a new file in the same folder. */
export function tensorboardReporter(folder: string): TrainerCallback {
  let path: string
  const now = () => Date.now() / 1000
  // One record per call and on disk at once: a killed run loses nothing that was logged.
  const append = (...events: Message[]) => appendFile(path, Buffer.concat(events.map(tfRecord)))
  return {
    async onTrainBegin({ config, resumedStep }) {
      await mkdir(folder, { recursive: true })
      const unique = `${Math.floor(now())}.${hostname()}.${process.pid}.${process.hrtime.bigint()}`
      path = join(folder, `events.out.tfevents.${unique}`)
      const rows = Object.entries(config).map(([key, value]) => `| ${key} | ${JSON.stringify(value)} |`)
      const table = ['| setting | value |', '| --- | --- |', ...rows].join('\n')
      const start = resumedStep === 0 ? 0 : resumedStep + 1
      await append(fileVersion(now()), sessionStart(now(), start), markdown(now(), start, 'args', table))
    },
    onLog: (log) => append(scalars(now(), log.step, reportedMetrics(log))),
    onEvaluate: (log) => append(scalars(now(), log.step, reportedMetrics(log))),
  }
}
