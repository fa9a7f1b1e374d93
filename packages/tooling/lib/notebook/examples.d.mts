/** An example app: its folder, its script, and the page rendered from it. */
export interface Example {
  name: string
  folder: string
  script: string
  page: string
}
export function examples(): Example[]
/** The example of this name, or in this folder. */
export function findExample(nameOrFolder: string): Example
/** The program and arguments that run an example with the built packages. */
export function exampleCommand(example: Pick<Example, 'script'>, options: readonly string[]): [string, string[]]
/** Names the exact script a page was rendered from. */
export function sourceHash(source: string): string
