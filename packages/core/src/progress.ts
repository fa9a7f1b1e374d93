import { plainText } from './plain-text'

export interface ProgressOptions {
  label: string
  total: number
  /** Units done before this program began; they say nothing about its speed. Default 0. */
  initial?: number
  /** Where to write; default standard error, so that piped standard output stays clean. */
  stream?: NodeJS.WriteStream
  /** Without a terminal a plain line is printed at most this often. Default 5000 ms. */
  plainIntervalMs?: number
}

/** A progress bar in a terminal, plain lines elsewhere. */
export interface Progress {
  /** @param done units finished so far; `note` stands at the end of the line (loss, tokens/s, memory). */
  update(done: number, note?: string): void
  finish(note?: string): void
}

/** Seconds as `42s`, `3m05s` or `2h07m`. */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '?'
  const s = Math.max(0, Math.round(seconds))
  const pad = (n: number) => String(n).padStart(2, '0')
  if (s < 60) return `${s}s`
  if (s < 3600) return `${Math.floor(s / 60)}m${pad(s % 60)}s`
  return `${Math.floor(s / 3600)}h${pad(Math.floor((s % 3600) / 60))}m`
}

export function createProgress({
  label,
  total,
  initial = 0,
  stream = process.stderr,
  plainIntervalMs = 5000,
}: ProgressOptions): Progress {
  const start = performance.now()
  const terminal = stream.isTTY === true
  let lastPrint = terminal ? Number.NEGATIVE_INFINITY : start
  let last = { done: initial, note: '' }

  const line = () => {
    const elapsed = (performance.now() - start) / 1000
    const share = total > 0 ? Math.min(1, last.done / total) : 1
    const done = last.done - initial
    const eta = done > 0 ? formatDuration((elapsed / done) * Math.max(0, total - last.done)) : '?'
    const facts = `${last.done}/${total} ${formatDuration(elapsed)}<${eta}${last.note ? ` ${last.note}` : ''}`
    if (!terminal) return plainText(`${label}: ${facts}`)
    const filled = Math.round(share * 24)
    const text = plainText(`${label} ${'█'.repeat(filled)}${'░'.repeat(24 - filled)} ${facts}`)
    return text.slice(0, Math.max(20, (stream.columns ?? 80) - 1))
  }
  const print = () => {
    lastPrint = performance.now()
    stream.write(terminal ? `\r${line()}\x1b[K` : `${line()}\n`)
  }

  return {
    update(done, note = last.note) {
      last = { done, note }
      if (performance.now() - lastPrint >= (terminal ? 80 : plainIntervalMs)) print()
    },
    finish(note = last.note) {
      last = { ...last, note }
      print()
      if (terminal) stream.write('\n')
    },
  }
}
