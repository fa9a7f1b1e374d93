#!/usr/bin/env bash
# A guess: differentiating through argMax is an error, as for other operations without a gradient.
# Seen: TensorFlow.js has a gradient of zeros for it, so a loss that is built on it trains nothing and nothing says so.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund @tensorflow/tfjs@4.22.0
cat >case.cjs <<'J'
const assert = require('node:assert')
const tf = require('@tensorflow/tfjs')
const hits = (x) => tf.sum(tf.cast(tf.equal(tf.argMax(x, 1), tf.tensor1d([1], 'int32')), 'float32'))
const soft = (x) => tf.sum(tf.cast(tf.argMax(x, 1), 'float32'))
const x = tf.tensor2d([[0.1, 0.9]])
console.log('tfjs', tf.version.tfjs)
const zeros = tf.grad(soft)(x).dataSync()
console.log('gradient of sum(argMax(x)):', Array.from(zeros))
assert.deepEqual(Array.from(zeros), [0, 0])
let message = 'no error'
try { tf.grad(hits)(x) } catch (error) { message = error.message }
console.log('gradient of sum(argMax(x) == 1):', message)
J
node case.cjs 2>/dev/null
