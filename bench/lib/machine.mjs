import { availableParallelism, cpus, totalmem } from 'node:os'

/** What a figure was measured on. `memory` in GiB. */
export function machine() {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memory: Math.round((totalmem() / 2 ** 30) * 10) / 10,
    node: process.versions.node,
    platform: `${process.platform} ${process.arch}`,
  }
}
