/** `learning_rate` and `learning-rate` as `learningRate`. */
export function camelCase(key: string): string {
  return key.replace(/[_-]([a-zA-Z0-9])/g, (_, letter: string) => letter.toUpperCase())
}

/** `learningRate` as `learning_rate`. */
export function snakeCase(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

/** The same entries under keys in another letter case: `renameKeys(config, snakeCase)`. */
export function renameKeys(object: object, letterCase: (key: string) => string): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [letterCase(key), value]))
}
