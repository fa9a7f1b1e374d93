#!/usr/bin/env bash
# A guess: LanceDB's full-text search gives BM25's scores, whatever the query.
# Seen: a word that the query has twice counts once, where Lucene and bm25s add it up; for other queries the order is Lucene's.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null 2>&1
npm install --silent --no-audit --no-fund @lancedb/lancedb@0.31.0 apache-arrow@18.1.0
cat >case.mjs <<'J'
import { readFileSync } from 'node:fs'
import * as lancedb from '@lancedb/lancedb'
const { version } = JSON.parse(readFileSync('node_modules/@lancedb/lancedb/package.json', 'utf8'))
const db = await lancedb.connect('./rows')
const texts = ['heart heart valve', 'lung tissue', 'heart lung rate', 'skin', 'bone marrow cell', 'lung valve']
const table = await db.createTable('t', texts.map((text, id) => ({ id, text })))
const options = { baseTokenizer: 'whitespace', stem: false, removeStopWords: false, lowercase: false, asciiFolding: false }
await table.createIndex('text', { config: lancedb.Index.fts(options), waitTimeoutSeconds: 60 })
const search = async (query) =>
  (await table.search(new lancedb.MatchQuery(query, 'text'), 'fts').limit(6).toArray()).map(({ id, _score }) => [id, _score.toFixed(4)].join(':'))
const [once, twice] = [await search('heart lung'), await search('heart heart lung')]
console.log('lancedb', version, '| heart lung:', once.join(' '), '| heart heart lung:', twice.join(' '))
if (once.join() !== twice.join()) process.exit(1)
J
node case.mjs
