#!/usr/bin/env bash
# A guess: a schema with a keyword that no grammar can keep is refused when it is compiled.
# Seen: multipleOf, uniqueItems, not and the exclusiveness of oneOf are passed over without a word, and so are lengths beside a pattern, with a warning.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null 2>&1
npm install --silent --no-audit --no-fund @mlc-ai/web-xgrammar@0.1.27 ajv@8.20.0 ajv-formats@3.0.1
cat >case.cjs <<'J'
const { readFileSync } = require('node:fs')
const { dirname } = require('node:path')
const Ajv = require('ajv').default
const file = require.resolve('@mlc-ai/web-xgrammar')
const made = { exports: {} }
new Function('module', 'exports', 'require', '__filename', '__dirname', readFileSync(file, 'utf8'))(
  made, made.exports, require, file, dirname(file))
const { Grammar, Testings } = made.exports
const ajv = new Ajv({ strict: false })
require('ajv-formats').default(ajv)
void (async () => {
  const seen = []
  for (const [schema, text] of [
    [{ type: 'integer', multipleOf: 3 }, '4'],
    [{ type: 'array', items: { type: 'integer' }, uniqueItems: true }, '[1, 1]'],
    [{ not: { type: 'string' } }, '"a"'],
    [{ oneOf: [{ type: 'integer' }, { type: 'number' }] }, '4'],
    [{ type: 'string', pattern: '^a+$', maxLength: 2 }, '"aaaa"'],
  ]) {
    const grammar = await Grammar.fromJSONSchema(JSON.stringify(schema))
    seen.push([await Testings.isGrammarAcceptString(grammar, text), ajv.validate(schema, JSON.parse(text))])
    console.log(JSON.stringify(schema), text, '| grammar, ajv:', seen.at(-1).join(' '))
  }
  console.log('web-xgrammar 0.1.27, ajv 8.20.0')
  if (!seen.every(([grammar, valid]) => grammar && !valid)) process.exit(1)
})()
J
node case.cjs 2>&1
