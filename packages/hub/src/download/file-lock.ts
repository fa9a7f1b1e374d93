import { randomBytes } from 'node:crypto'
import { link, mkdir, readFile, rm, rmdir, stat, utimes, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { failAs, TunesmithError } from '@tunesmith/core'

const HEARTBEAT_MS = 5_000
/** A holder that has not shown itself for so long is dead, wherever it ran. */
const STALE_MS = 60_000
/** The locks of this process: a restarted container may have the process id of the one that died. */
const ours = new Set<string>()

interface Holder {
  pid: number
  host: string
  nonce: string
}

/** Whether a lock's holder is gone; undefined when the lock itself is gone. */
async function deadHolder(path: string): Promise<{ dead: boolean; nonce: string } | undefined> {
  const stats = await stat(path).catch(() => undefined)
  const text = await readFile(path, 'utf8').catch(() => undefined)
  if (!stats || text === undefined) return undefined
  const silent = Date.now() - stats.mtimeMs > STALE_MS
  let holder: Holder
  try {
    holder = JSON.parse(text) as Holder
  } catch {
    return { dead: silent, nonce: 'unreadable' } // its writer died, or is about to finish
  }
  const nonce = /^\w{1,64}$/.test(holder.nonce) ? holder.nonce : 'unreadable'
  return { dead: silent || (holder.host === hostname() && !isAlive(holder)), nonce }
}

function isAlive({ pid, nonce }: Holder): boolean {
  if (pid === process.pid) return ours.has(nonce)
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Creates the lock file with its content in one step; false when another holds it. */
async function tryTake(path: string, holder: Holder): Promise<boolean> {
  const temporary = `${path}.${holder.nonce}`
  await writeFile(temporary, JSON.stringify(holder))
  try {
    await link(temporary, path)
    return true
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') return false
    // A file system without hard links: the content follows a moment after the file.
    return await writeFile(path, JSON.stringify(holder), { flag: 'wx' }).then(
      () => true,
      (failure: NodeJS.ErrnoException) => {
        if (failure.code === 'EEXIST') return false
        throw failure
      },
    )
  } finally {
    await rm(temporary, { force: true })
  }
}

/**
 * Removes a dead holder's lock. Of several processes that saw it die, one wins the folder named after the dead lock,
 * and looks again before it removes anything, so that a lock taken meanwhile is never removed.
 */
async function removeDead(path: string, nonce: string): Promise<void> {
  const arbiter = `${path}.${nonce}.dead`
  try {
    await mkdir(arbiter)
  } catch {
    const stats = await stat(arbiter).catch(() => undefined)
    if (stats && Date.now() - stats.mtimeMs > STALE_MS) await rmdir(arbiter).catch(() => undefined)
    return
  }
  try {
    const now = await deadHolder(path)
    if (now?.dead && now.nonce === nonce) await rm(path, { force: true })
  } finally {
    await rmdir(arbiter).catch(() => undefined)
  }
}

interface FileLockOptions {
  signal?: AbortSignal | undefined
  /** Called once when another process holds the lock and it must be waited for. */
  onWait?: () => void
}

/**
 * Runs `work` while no other process that asks for the same lock does. A lock whose holder died is taken over: at once
 * when the holder ran on this machine, else after a minute without a sign of life. Works on any file system, network
 * ones included, because it needs no `flock`.
 */
export async function withFileLock<Result>(
  path: string,
  work: () => Promise<Result>,
  { signal, onWait }: FileLockOptions = {},
): Promise<Result> {
  const holder: Holder = { pid: process.pid, host: hostname(), nonce: randomBytes(8).toString('hex') }
  ours.add(holder.nonce)
  await mkdir(dirname(path), { recursive: true }).catch(failAs(path, 'make the folder for locks'))
  for (let round = 0; ; round++) {
    if (signal?.aborted) throw new TunesmithError('Stopped on request', { code: 'aborted', cause: signal.reason })
    const taken = await tryTake(path, holder).catch(failAs(path, 'make a lock'))
    if (taken) break
    const current = await deadHolder(path)
    if (current?.dead) {
      await removeDead(path, current.nonce)
      await delay(10)
    } else if (current) {
      if (round === 0) onWait?.()
      await delay(Math.min(1000, 50 * 1.3 ** round))
    }
  }
  const heartbeat = setInterval(() => {
    const now = new Date()
    utimes(path, now, now).catch(() => undefined)
  }, HEARTBEAT_MS)
  heartbeat.unref()
  try {
    return await work()
  } finally {
    clearInterval(heartbeat)
    ours.delete(holder.nonce)
    // After a long freeze another process may hold the lock by now; that one is not ours to remove.
    const text = await readFile(path, 'utf8').catch(() => '')
    if (text.includes(holder.nonce)) await rm(path, { force: true }).catch(() => undefined)
  }
}
