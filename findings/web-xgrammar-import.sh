#!/usr/bin/env bash
# A guess: @mlc-ai/web-xgrammar can be imported in Node: its package.json says "type": "module".
# Seen: the file behind its entry is UMD, which Node reads as an ES module because of that key, so the import throws.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund @mlc-ai/web-xgrammar@0.1.27
cat >case.mjs <<'J'
import assert from 'node:assert'
import { readFileSync } from 'node:fs'
const { type, version } = JSON.parse(readFileSync('node_modules/@mlc-ai/web-xgrammar/package.json', 'utf8'))
const error = await import('@mlc-ai/web-xgrammar').then(
  () => undefined,
  (problem) => problem,
)
console.log('web-xgrammar', version, 'type', type, '-', error?.message.split('\n')[0])
assert.equal(type, 'module')
assert.match(error.message, /require is not defined in ES module scope/)
J
node case.mjs
