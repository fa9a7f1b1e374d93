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
import { startS3Server } from './testing/s3-server'

const script = fileURLToPath(new URL('testing/index-until-killed.mjs', import.meta.url))
const KILLS = 20
const DOCUMENTS = 2000
const dist = new URL('../dist/index.js', import.meta.url)

interface Place {
  uri: string
  storageOptions?: Record<string, string>
}

/** Runs the script and kills it so many milliseconds after it began; what it said that it had committed, and whether it got to the end. */
async function indexFor({ uri, storageOptions }: Place, ms: number): Promise<{ committed: number; done: boolean }> {
  const args = [script, dist.href, uri, JSON.stringify(storageOptions ?? null)]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
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

/** How many documents the index holds; whole ones, each found by its word. */
async function held({ uri, storageOptions }: Place, before: number): Promise<number> {
  try {
    const index = await openIndex(uri, { storageOptions })
    const { documents, chunks } = index.size
    // A document is whole or not there: its last chunk is found wherever its first is.
    expect(chunks % Math.max(1, documents)).toBe(0)
    for (const number of [0, before, documents - 1].filter((n) => n >= 0 && n < documents))
      expect((await index.search(`word${number}`, { k: 1 }))[0]!.document).toBe(`d${number}`)
    index.close()
    return documents
  } catch (error) {
    // Killed before the first commit, when there is nothing yet.
    if (isTunesmithError(error) && error.code === 'not_found') return 0
    throw error
  }
}

/** Kills an indexing process again and again; what it committed stays. `fresh` gives a place without an index. */
async function killAgainAndAgain(fresh: () => Promise<Place>, seed: number): Promise<number> {
  const random = new Random(seed)
  let place = await fresh()
  let before = 0
  let inTheMiddle = 0
  for (let kill = 0; kill < KILLS; kill++) {
    const { committed, done } = await indexFor(place, random.int(1500))
    const now = await held(place, before)
    expect(now).toBeGreaterThanOrEqual(before + committed)
    if (now > 0 && now < DOCUMENTS) inTheMiddle++
    before = now
    if (done || now === DOCUMENTS) {
      place = await fresh()
      before = 0
    }
  }
  return inTheMiddle
}

it.skipIf(!existsSync(dist))(
  'killed at any moment, it holds every committed document, and goes on',
  { timeout: 240_000 },
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tunesmith-killed-'))
    let next = 0
    const inTheMiddle = await killAgainAndAgain(async () => ({ uri: join(folder, String(next++)) }), 22)
    expect(inTheMiddle).toBeGreaterThan(0)
    console.info(`${KILLS} kills, ${inTheMiddle} of them with some documents and not all`)
    await rm(folder, { recursive: true })
  },
)

it.skipIf(!existsSync(dist))('the same with a server of S3’s protocol', { timeout: 240_000 }, async () => {
  const server = await startS3Server()
  let next = 0
  const { storageOptions } = server
  const inTheMiddle = await killAgainAndAgain(async () => ({ uri: `s3://bucket/${next++}`, storageOptions }), 23)
  expect(inTheMiddle).toBeGreaterThan(0)
  console.info(`${KILLS} kills at S3, ${inTheMiddle} of them with some documents and not all`)
  await server.close()
})
