import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { isTunesmithError, Random } from '@tunesmith/core'
import { expect, it } from 'vitest'
import { openIndex } from './index/retrieval-index'

const script = fileURLToPath(new URL('testing/index-until-killed.mjs', import.meta.url))
const KILLS = 20
const dist = new URL('../dist/index.js', import.meta.url)

/** Runs the script and kills it so many milliseconds after it began; what it said that it had committed, and whether it got to the end. */
async function indexFor(folder: string, ms: number): Promise<{ committed: number; done: boolean }> {
  const child = spawn(process.execPath, [script, dist.href, folder], { stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  const begun = new Promise<void>((resolve) => {
    child.stdout.on('data', (part) => {
      said += part
      resolve()
    })
  })
  const ended = new Promise((resolve) => child.once('exit', resolve))
  await Promise.race([ended, begun.then(() => delay(ms))])
  child.kill('SIGKILL')
  await ended
  const lines = said.split('\n').slice(0, -1)
  const done = lines.at(-1) === 'done'
  return { committed: Number(lines.filter((line) => /^\d/.test(line)).at(-1) ?? 0), done }
}

it.skipIf(!existsSync(dist))(
  'killed at any moment, it holds every committed document, and goes on',
  { timeout: 240_000 },
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tunesmith-killed-'))
    const random = new Random(22)
    const place = join(folder, 'index')
    let before = 0
    let [kills, inTheMiddle] = [0, 0]
    while (kills < KILLS) {
      const ms = random.int(1500)
      const { committed, done } = await indexFor(place, ms)
      kills++
      let held = 0
      try {
        const index = await openIndex(place)
        held = index.size.documents
        // A document is whole or not there: its last chunk is found wherever its first is.
        expect(index.size.chunks % Math.max(1, held)).toBe(0)
        for (const number of [0, before, held - 1].filter((n) => n >= 0 && n < held))
          expect((await index.search(`word${number}`, { k: 1 }))[0]!.document).toBe(`d${number}`)
        index.close()
      } catch (error) {
        // Killed before the first commit, when there is nothing yet.
        if (!isTunesmithError(error) || error.code !== 'not_found') throw error
      }
      expect(held).toBeGreaterThanOrEqual(before + committed)
      if (held > 0 && held < 2000) inTheMiddle++
      before = held
      if (done || held === 2000) {
        await rm(place, { recursive: true })
        before = 0
      }
    }
    expect(inTheMiddle).toBeGreaterThan(0)
    console.info(`${kills} kills, ${inTheMiddle} of them with some documents and not all`)
    await rm(folder, { recursive: true })
  },
)
