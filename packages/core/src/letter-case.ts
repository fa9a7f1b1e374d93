/** `learning_rate` and `learning-rate` as `learningRate`. */
export function camelCase(key: string): string {
  return key.replace(/[_-]([a-zA-Z0-9])/g, (_, letter: string) => letter.toUpperCase())
}

/** `learningRate` as `learning_rate`. */
export function snakeCase(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}
