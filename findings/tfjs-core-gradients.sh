#!/usr/bin/env bash
# A guess: @tensorflow/tfjs-core with a backend differentiates what it computes; if not, importing its module of gradients mends that.
# Seen: it computes and tf.grad throws, and the module of gradients cannot be imported by Node: its own imports lack file extensions.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund @tensorflow/tfjs-core@4.22.0 @tensorflow/tfjs-backend-cpu@4.22.0
cat >case.mjs <<'J'
import assert from 'node:assert'
import * as tf from '@tensorflow/tfjs-core'
import '@tensorflow/tfjs-backend-cpu'
const f = (x) => tf.sum(tf.square(x))
console.log('tfjs-core', tf.version_core, 'value', f(tf.tensor1d([1, 2])).dataSync()[0])
assert.throws(() => tf.grad(f)(tf.tensor1d([1, 2])), /gradient function not found/)
console.log('tf.grad throws: gradient function not found')
const { code } = await import('@tensorflow/tfjs-core/dist/register_all_gradients.js').catch((problem) => problem)
console.log('importing dist/register_all_gradients.js:', code)
assert.equal(code, 'ERR_MODULE_NOT_FOUND')
J
node case.mjs 2>/dev/null
