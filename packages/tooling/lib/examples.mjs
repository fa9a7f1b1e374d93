import { existsSync, readFileSync } from 'node:fs'
import ts from 'typescript'

/**
 * The first example of a README that runs as it stands, as JavaScript: a fenced block marked `js` or `ts` that imports
 * something. A block whose fence says `no-run` (it wants a download, say) is passed over. Undefined when there is none.
 */
export function firstExample(readme) {
  if (!existsSync(readme)) return undefined
  for (const [, language, info, code] of readFileSync(readme, 'utf8').matchAll(/^```(\w+)([^\n]*)\n([\s\S]*?)^```/gm))
    if (/^(js|mjs|javascript|ts|typescript)$/.test(language) && !info.includes('no-run') && /\bimport\b/.test(code))
      return ts.transpileModule(code, {
        compilerOptions: { target: 'ES2022', module: 'ESNext', verbatimModuleSyntax: true },
      }).outputText
  return undefined
}
