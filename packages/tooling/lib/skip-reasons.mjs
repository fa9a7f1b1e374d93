/**
 * A vitest reporter that keeps why each test was skipped, for `npm test` to print: the note of `context.skip(note)`, or
 * else what the test file printed about skipping. Writes `.vitest/skips.json`: { "full test name": "reason" }.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export class SkipReasons {
  #root = '.'
  #state
  #printed = new Map()

  onInit(vitest) {
    this.#root = vitest.config.root
    this.#state = vitest.state
  }

  onUserConsoleLog(log) {
    const lines = log.content.split('\n').filter((line) => /skip/i.test(line))
    if (lines.length === 0) return
    const file = this.#state.idMap.get(log.taskId ?? '')?.file?.filepath ?? ''
    this.#printed.set(file, [...(this.#printed.get(file) ?? []), ...lines.map((line) => line.trim())])
  }

  onTestRunEnd(modules) {
    const reasons = {}
    for (const module of modules)
      for (const test of module.children.allTests('skipped')) {
        const printed = this.#printed.get(module.moduleId) ?? this.#printed.get('')
        const reason = test.result().note ?? printed?.[0]
        if (reason) reasons[test.fullName.split(' > ').join(' ')] = reason
      }
    mkdirSync(join(this.#root, '.vitest'), { recursive: true })
    writeFileSync(join(this.#root, '.vitest', 'skips.json'), JSON.stringify(reasons))
  }
}
