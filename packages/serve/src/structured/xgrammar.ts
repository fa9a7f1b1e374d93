import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname } from 'node:path'

/** Of embind's vectors. */
interface Words {
  size(): number
  get(index: number): number
  delete(): void
}
export interface Matcher {
  acceptToken(token: number): boolean
  isTerminated(): boolean
  dispose(): void
  handle: { GetNextTokenBitmask(vocabSize: number): Words }
  vocab_size: number
}
export interface Compiled {
  dispose(): void
}
export interface Compiler {
  compileJSONSchema(schema: string, anyWhitespace: boolean, indent: number): Promise<Compiled>
}
interface XGrammar {
  TokenizerInfo: {
    createTokenizerInfo(tokens: string[], type: string, prependSpace: boolean, size: number): Promise<object>
  }
  GrammarCompiler: { createGrammarCompiler(info: object, cacheEnabled: boolean): Promise<Compiler> }
  GrammarMatcher: { createGrammarMatcher(compiled: Compiled, stopTokens: number[]): Promise<Matcher> }
}

/** The file of the library, and its text. It asks for `module` by an `import`, which code made of text may not do everywhere. */
export async function libraryText(): Promise<{ file: string; text: string }> {
  const file = createRequire(import.meta.url).resolve('@mlc-ai/web-xgrammar')
  const text = await readFile(file, 'utf8')
  return {
    file,
    text: text.replace(/import\(['"](?:node:)?module['"]\)/, 'Promise.resolve({ createRequire: () => require })'),
  }
}

/** A new instance of xgrammar in WebAssembly. Its file is a UMD module in a package that says it holds ES modules, so no `import` can load it. */
export async function loadXGrammar(): Promise<XGrammar> {
  const { file, text } = await libraryText()
  const made: { exports: Record<string, unknown> } = { exports: {} }
  const run = new Function('module', 'exports', 'require', '__filename', '__dirname', text)
  run(made, made.exports, createRequire(file), file, dirname(file))
  return (made.exports.default ?? made.exports) as unknown as XGrammar
}

/** A tokenizer's tokens as xgrammar takes them. */
export interface TokenTable {
  tokens: string[]
  type: 'byte_level' | 'byte_fallback'
  /** Rows of the embeddings; ids without a token are never chosen. */
  size: number
}

export async function makeCompiler(library: XGrammar, { tokens, type, size }: TokenTable): Promise<Compiler> {
  const info = await library.TokenizerInfo.createTokenizerInfo(tokens, type, false, size)
  return library.GrammarCompiler.createGrammarCompiler(info, false)
}

/** Compact JSON with a space behind commas and colons: a model that may write blanks may write nothing else. */
export const compileSchema = (compiler: Compiler, schema: string): Promise<Compiled> =>
  compiler.compileJSONSchema(schema, false, -1)
