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

/** Text without the keys known to this process: servers repeat what they were sent. A key is also found in its URL and base64 forms. */
export function redactSecrets(text: string): string {
  const environment = Object.entries(process.env).flatMap(([name, value]) => {
    const secret = value?.trim() ?? ''
    return SECRET_NAMES.test(name) && secret.length >= SHORTEST ? [secret] : []
  })
  let clean = text
  // Longer ones first: one may be a part of another.
  for (const secret of [...remembered, ...environment].sort((a, b) => b.length - a.length))
    for (const form of [secret, encodeURIComponent(secret), Buffer.from(secret).toString('base64')])
      clean = clean.replaceAll(form, '***')
  return clean
}
