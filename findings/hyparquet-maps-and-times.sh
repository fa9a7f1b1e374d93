#!/usr/bin/env bash
# A guess: hyparquet's objects hold what the Parquet file holds.
# Seen: a map's repeated key loses an entry, integer keys become texts, timestamps lose their microseconds, and a time of day
# arrives as a bare number without its unit.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund hyparquet@1.33.0
python3 -m venv venv
venv/bin/pip install -q pyarrow==25.0.1 2>/dev/null
cat >case.py <<'P'
import datetime
import pyarrow as pa, pyarrow.parquet as pq
pq.write_table(pa.table({
    "repeated": pa.array([[("a", 1), ("a", 2)]], pa.map_(pa.string(), pa.int32())),
    "numbered": pa.array([[(7, "x")]], pa.map_(pa.int64(), pa.string())),
    "stamp": pa.array([datetime.datetime(2024, 1, 2, 3, 4, 5, 678901)], pa.timestamp("us")),
    "time": pa.array([datetime.time(1, 2, 3)], pa.time64("us")),
}), "case.parquet")
print("pyarrow", pa.__version__, pq.read_table("case.parquet").to_pylist()[0])
P
cat >case.mjs <<'J'
import assert from 'node:assert'
import { readFileSync } from 'node:fs'
import { parquetReadObjects } from 'hyparquet'
const bytes = readFileSync('case.parquet')
const [row] = await parquetReadObjects({ file: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) })
console.log('hyparquet 1.33.0', row)
assert.deepEqual(row.repeated, { a: 2 })
assert.deepEqual(row.numbered, { 7: 'x' })
assert.equal(row.stamp.toISOString(), '2024-01-02T03:04:05.678Z')
assert.equal(row.time, 3723000000n)
J
venv/bin/python case.py
node case.mjs
