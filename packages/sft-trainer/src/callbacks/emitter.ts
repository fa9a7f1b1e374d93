import type { CallbackContext, Notice, TrainerCallback } from './events'

type EventName = Exclude<keyof TrainerCallback, 'state' | 'load' | 'name'>
type EventOf<Name extends EventName> = Parameters<NonNullable<TrainerCallback[Name]>>[0]

/** Tells callbacks what happens. */
export interface Emitter {
  emit<Name extends EventName>(name: Name, event: EventOf<Name>): Promise<void>
  notice(message: string, level?: Notice['level']): Promise<void>
  readonly callbacks: readonly TrainerCallback[]
}

/**
 * @param reporters what only watches: an error in one is said once, and training goes on without it.
 * @param callbacks the user's: an error in one ends training.
 */
export function createEmitter(
  reporters: readonly TrainerCallback[],
  callbacks: readonly TrainerCallback[],
  context: CallbackContext,
): Emitter {
  const failed = new Set<TrainerCallback>()
  const everyone = [...reporters, ...callbacks]
  const call = <Name extends EventName>(callback: TrainerCallback, name: Name, event: EventOf<Name>) =>
    (callback[name] as ((event: EventOf<Name>, context: CallbackContext) => void | Promise<void>) | undefined)?.call(
      callback,
      event,
      context,
    )

  async function emit<Name extends EventName>(name: Name, event: EventOf<Name>): Promise<void> {
    // All at once: one that waits for a server does not make the others wait.
    const watching = reporters.filter((reporter) => !failed.has(reporter))
    const results = await Promise.allSettled(watching.map(async (reporter) => call(reporter, name, event)))
    for (const [i, result] of results.entries()) {
      if (result.status === 'fulfilled') continue
      failed.add(watching[i]!)
      await notice(`A reporter failed and gets no more events: ${(result.reason as Error).message}`, 'warning')
    }
    for (const callback of callbacks) await call(callback, name, event)
  }

  async function notice(message: string, level: Notice['level'] = 'info'): Promise<void> {
    if (!everyone.some((callback) => callback.onNotice && !failed.has(callback)))
      process.stderr.write(`${level === 'warning' ? 'warning: ' : ''}${message}\n`)
    await emit('onNotice', { level, step: context.state.globalStep, message })
  }

  return { emit, notice, callbacks: everyone }
}
