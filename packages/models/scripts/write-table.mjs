/** Writes the table of families in the README, from the list that the tests go through: node scripts/write-table.mjs */
import { readFileSync, writeFileSync } from 'node:fs'

const here = (path) => new URL(path, import.meta.url)
const START = '<!-- families: scripts/write-table.mjs writes this -->\n'
const END = '<!-- end -->'

/** @param readme its text. @param families as in src/testing/families.json. @returns the text with the table as it should be. */
export function withTable(readme, families) {
  const rows = families.map(({ modelType, whole, models, gguf, ggufNote }) => {
    const types = `\`${modelType}\`${whole ? `; text half of \`${whole}\`` : ''}`
    return `| ${types} | ${models} | ${gguf ? (ggufNote ?? 'yes') : 'no'} |`
  })
  const table = ['| `model_type` | models | GGUF |', '| --- | --- | --- |', ...rows].join('\n')
  const [from, to] = [readme.indexOf(START) + START.length, readme.indexOf(END)]
  return `${readme.slice(0, from)}${table}\n${readme.slice(to)}`
}

if (process.argv[1] === here(import.meta.url).pathname) {
  const path = here('../README.md')
  const families = JSON.parse(readFileSync(here('../src/testing/families.json'), 'utf8'))
  writeFileSync(path, withTable(readFileSync(path, 'utf8'), families))
}
