#!/usr/bin/env bash
# A guess: what a grammar of a JSON schema accepts is JSON that keeps the schema.
# Seen: a string with a length may hold a bare tab, which JSON.parse refuses; without one it may not. ipv4 takes 01.02.03.04, which ajv refuses.
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
const isJson = (text, schema) => {
  try {
    return ajv.validate(schema, JSON.parse(text))
  } catch {
    return false
  }
}
void (async () => {
  const seen = []
  for (const [schema, text] of [
    [{ type: 'string' }, '"a\tb"'],
    [{ type: 'string', maxLength: 3 }, '"a\tb"'],
    [{ type: 'string', format: 'ipv4' }, '"01.02.03.04"'],
  ]) {
    const grammar = await Grammar.fromJSONSchema(JSON.stringify(schema))
    const accepted = await Testings.isGrammarAcceptString(grammar, text)
    seen.push(accepted)
    console.log(JSON.stringify(schema), JSON.stringify(text), '| grammar:', accepted, '| JSON and ajv:', isJson(text, schema))
  }
  console.log('web-xgrammar 0.1.27, ajv 8.20.0')
  if (seen.join() !== 'false,true,true') process.exit(1)
})()
J
node case.cjs
