import { inspect } from 'node:util'

/** Environment variables that hold keys, by how their names end: HF_TOKEN, WANDB_API_KEY, MLFLOW_TRACKING_PASSWORD. */
const SECRET_NAMES = /(^|_)(TOKEN|API_KEY|ACCESS_KEY|SECRET|PASSWORD)$/i
/** Shorter texts stand in too many words by chance. */
const SHORTEST = 8

const remembered = new Set<string>()

/** A key that no message may show, beside those in the environment. */
export function rememberSecret(secret: string): void {
  const text = secret.trim()
  if (text.length >= SHORTEST) remembered.add(text)
}

/** Those of the environment, read once in a turn of the event loop: asking for them costs more than an error should. */
let environment: string[] | undefined

function environmentSecrets(): string[] {
  if (!environment) {
    environment = Object.keys(process.env)
      .filter((name) => SECRET_NAMES.test(name))
      .map((name) => process.env[name]?.trim() ?? '')
      .filter(({ length }) => length >= SHORTEST)
    queueMicrotask(() => {
      environment = undefined
    })
  }
  return environment
}

/** Text without the keys known to this process: servers repeat what they were sent. A key is also found in its URL and base64 forms. */
export function redactSecrets(text: string): string {
  let clean = text
  // Longer ones first: one may be a part of another.
  for (const secret of [...remembered, ...environmentSecrets()].sort((a, b) => b.length - a.length))
    for (const form of [secret, encodeURIComponent(secret), Buffer.from(secret).toString('base64')])
      clean = clean.replaceAll(form, '***')
  return clean
}

/** An error as it is; one that shows a key, also in its causes, as its text without it. */
export function withoutSecrets(error: unknown): unknown {
  const text = inspect(error, { depth: 4 })
  const clean = redactSecrets(text)
  return clean === text ? error : new Error(clean)
}
