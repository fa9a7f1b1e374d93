#!/usr/bin/env bash
# A guess: tf.oneHot(..., dtype float32) holds ones and zeros on every TensorFlow.js backend.
# Seen: on the wasm backend the ones are the integer's bits read as a float, 1.4e-45.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund @tensorflow/tfjs-core@4.22.0 @tensorflow/tfjs-backend-wasm@4.22.0 @tensorflow/tfjs-backend-cpu@4.22.0
cat >case.mjs <<'J'
import assert from 'node:assert'
import * as tf from '@tensorflow/tfjs-core'
import '@tensorflow/tfjs-backend-cpu'
import '@tensorflow/tfjs-backend-wasm'
const seen = {}
for (const name of ['cpu', 'wasm']) {
  await tf.setBackend(name)
  seen[name] = Array.from(tf.oneHot(tf.tensor1d([1], 'int32'), 2, 1, 0, 'float32').dataSync())
}
console.log('tfjs', tf.version_core, JSON.stringify(seen))
assert.deepEqual(seen.cpu, [0, 1])
assert.notEqual(seen.wasm[1], 1)
J
node case.mjs 2>/dev/null
