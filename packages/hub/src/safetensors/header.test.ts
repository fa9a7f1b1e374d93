import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { TunesmithError } from '@tunesmith/core'
import { describe, expect, it } from 'vitest'
import { assemble, hostileFile } from '../fixtures/hostile-safetensors'
import { originals, withPip } from '../fixtures/python'
import { openSafetensors } from './file'
import { MAX_HEADER_LENGTH, parseHeaderLength, parseSafetensorsHeader, type SafetensorsHeader } from './header'

/** Parses a whole file in memory as {@link openSafetensors} does from disk. */
function parse(file: Uint8Array): SafetensorsHeader {
  const length = parseHeaderLength(file.subarray(0, 8), file.length, 'test')
  return parseSafetensorsHeader(file.subarray(8, 8 + length), file.length, 'test')
}

/** The message of the error, or undefined when the file is accepted; anything but a TunesmithError fails the test. */
function refusal(file: Uint8Array): string | undefined {
  try {
    parse(file)
    return undefined
  } catch (error) {
    if (!(error instanceof TunesmithError) || error.code !== 'invalid_file') throw error
    return error.message
  }
}

const entry = (name: string, start: number, end: number, dtype = 'U8', shape = `[${end - start}]`) =>
  `"${name}":{"dtype":"${dtype}","shape":${shape},"data_offsets":[${start},${end}]}`

describe('parseSafetensorsHeader', () => {
  it('reads names, shapes, dtypes and metadata in any order and spacing', () => {
    const { tensors, metadata } = parse(
      assemble(
        `\n{ ${entry('b', 4, 12, 'F32', '[1,2]')},\t"__metadata__":{"format":"pt","k":"\\u00e9\\n"} , ${entry('a\\"😀', 0, 4, 'BF16', '[2]')} , ${entry('s', 12, 20, 'I64', '[]')},${entry('e', 4, 4, 'F4', '[0,9]')}}  `,
        20,
      ),
    )
    expect([...tensors.keys()]).toEqual(['b', 'a"😀', 's', 'e'])
    const offset = tensors.get('a"😀')!.offset
    expect(tensors.get('b')).toEqual({ dtype: 'F32', shape: [1, 2], byteLength: 8, offset: offset + 4, file: 'test' })
    expect(metadata).toEqual({ format: 'pt', k: 'é\n' })
  })

  it.each([
    ['no bytes', new Uint8Array(0), /0 bytes, too few/],
    ['seven bytes', new Uint8Array(7), /7 bytes, too few/],
    ['a header longer than the file', assemble('{}', 0, 3n), /claims 3 bytes, but the file has 2/],
    ['a header of 2^64 - 1 bytes', assemble('{}', 0, 2n ** 64n - 1n), /claims 18446744073709551615 bytes/],
    ['no JSON', assemble('', 4), /Expected an object/],
    ['an array', assemble('[]', 0), /Expected an object/],
    ['a hole', assemble(`{${entry('a', 0, 4)},${entry('b', 8, 12)}}`, 12), /"b" starts at byte/],
    ['an overlap', assemble(`{${entry('a', 0, 4)},${entry('b', 2, 6)}}`, 6), /overlap or leave a hole/],
    ['the same bytes twice', assemble(`{${entry('a', 0, 4)},${entry('b', 0, 4)}}`, 4), /overlap/],
    ['offsets beyond the end', assemble(`{${entry('a', 0, 9)}}`, 8), /end at byte/],
    ['bytes of no tensor', assemble(`{${entry('a', 0, 4)}}`, 8), /but the file has/],
    ['offsets in the wrong order', assemble(`{${entry('a', 4, 0, 'U8', '[0]')}}`, 0), /invalid data_offsets/],
    ['a size that does not fit', assemble(`{${entry('a', 0, 4, 'F32', '[2]')}}`, 4), /F32 of this shape needs 8/],
    ['a shape past 2^53', assemble(`{${entry('a', 0, 4, 'F32', '[4294967296,4294967296]')}}`, 4), /needs another/],
    ['a negative size', assemble(`{${entry('a', 0, 4, 'U8', '[-4]')}}`, 4), /Expected a whole number/],
    ['a fraction', assemble(`{${entry('a', 0, 4, 'U8', '[4.0]')}}`, 4), /Expected a whole number/],
    ['an unknown dtype', assemble(`{${entry('a', 0, 4, 'F31')}}`, 4), /unknown dtype "F31"/],
    ['a prototype as dtype', assemble(`{${entry('a', 0, 4, 'constructor')}}`, 4), /unknown dtype/],
    ['a tensor named twice', assemble(`{${entry('a', 0, 4)},${entry('a', 4, 8)}}`, 8), /"a" stands twice/],
    ['the same name written differently', assemble(`{${entry('a', 0, 4)},${entry('\\u0061', 4, 8)}}`, 8), /twice/],
    ['a dtype given twice', assemble(`{"a":{"dtype":"U8","dtype":"U8","shape":[],"data_offsets":[0,1]}}`, 1), /twice/],
    ['a missing shape', assemble(`{"a":{"dtype":"U8","data_offsets":[0,1]}}`, 1), /lacks its dtype, shape/],
    ['metadata that is no text', assemble('{"__metadata__":{"a":1}}', 0), /Expected a string/],
    ['deep nesting', assemble(`{"a":{"x":${'['.repeat(1_000_000)}`, 0), /Nested too deeply/],
    ['text after the end', assemble('{}x', 0), /Unexpected text/],
    ['broken UTF-8', assemble(Buffer.from('{"\xff":1}', 'latin1'), 0), /broken UTF-8/],
    ['half a surrogate pair', assemble('{"\\ud800":1}', 0), /broken escape/],
    ['a string without end', assemble('{"a', 0), /does not end/],
  ])('refuses %s', (_, file, message) => expect(refusal(file as Uint8Array)).toMatch(message as RegExp))

  it('takes no memory for a lying length, and refuses a header over the limit of the format', () => {
    const prefix = assemble('', 0, BigInt(MAX_HEADER_LENGTH + 1))
    expect(() => parseHeaderLength(prefix, 2 ** 40, 'x')).toThrow(/more than the format's limit/)
    expect(parseHeaderLength(assemble('', 0, BigInt(MAX_HEADER_LENGTH)), 2 ** 40, 'x')).toBe(MAX_HEADER_LENGTH)
  })

  it('reads a header of 100,000 tensors in linear time', () => {
    const json = `{${Array.from({ length: 100_000 }, (_, i) => entry(`model.layers.${i}.weight`, i, i + 1)).join(',')}}`
    const start = performance.now()
    expect(parse(assemble(json, 100_000)).tensors.size).toBe(100_000)
    expect(performance.now() - start).toBeLessThan(30_000)
  })
})

const FUZZED = 40_000

describe('hostile files', () => {
  it(`gives ${FUZZED} mutated files an error or a sound header, fast and in little memory`, () => {
    const start = performance.now()
    const memory = process.memoryUsage().rss
    let accepted = 0
    let slowest = 0
    for (let seed = 1; seed <= FUZZED; seed++) {
      const file = hostileFile(seed)
      const before = performance.now()
      if (refusal(file) === undefined) {
        accepted++
        const { tensors } = parse(file)
        const length = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true))
        const ranges = [...tensors.values()].sort((a, b) => a.offset - b.offset || a.byteLength - b.byteLength)
        let end = 8 + length
        for (const { offset, byteLength } of ranges) {
          if (offset !== end) throw new Error(`file ${seed} has a gap`)
          end += byteLength
        }
        if (end !== file.length) throw new Error(`file ${seed} is not covered`)
      }
      slowest = Math.max(slowest, performance.now() - before)
    }
    // Enough of both kinds, or the mutations test nothing.
    expect(accepted).toBeGreaterThan(FUZZED * 0.1)
    expect(accepted).toBeLessThan(FUZZED * 0.6)
    expect(slowest).toBeLessThan(10_000)
    expect(performance.now() - start).toBeLessThan(60_000)
    expect(process.memoryUsage().rss - memory).toBeLessThan(300e6)
  })

  it(
    'agrees with the original reader about every mutated file, but for what we refuse on purpose',
    withPip,
    async (context) => {
      const { python, reason } = await originals()
      if (!python) return context.skip(reason)
      const folder = await mkdtemp(join(tmpdir(), 'tunesmith-fuzz-'))
      try {
        const count = 20_000
        const parts: Uint8Array[] = []
        for (let seed = 1; seed <= count; seed++) {
          const file = hostileFile(seed)
          const size = new Uint8Array(4)
          new DataView(size.buffer).setUint32(0, file.length, true)
          parts.push(size, file)
        }
        await writeFile(join(folder, 'files'), Buffer.concat(parts))
        const script = `
import struct, sys, safetensors
data = open(sys.argv[1], 'rb').read(); at = 0
while at < len(data):
    n = struct.unpack_from('<I', data, at)[0]; at += 4
    try: safetensors.deserialize(data[at:at+n]); print(1)
    except BaseException: print(0)
    at += n`
        const { stdout } = await promisify(execFile)(python, ['-c', script, join(folder, 'files')], {
          maxBuffer: 2 ** 24,
        })
        const theirs = stdout.trim().split('\n').map(Number)
        expect(theirs.length).toBe(count)
        const differences: string[] = []
        for (let seed = 1; seed <= count; seed++) {
          const file = hostileFile(seed)
          const ours = refusal(file)
          if ((ours === undefined) === (theirs[seed - 1] === 1)) continue
          // A name given twice, and a number that JavaScript cannot hold, the original lets pass.
          const names = [
            ...Buffer.from(file)
              .toString()
              .matchAll(/"([^"]*)":\{/g),
          ].map(([, name]) => name)
          const twice = new Set(names).size < names.length
          if (ours !== undefined && (twice || /stands twice|number is too large/.test(ours))) continue
          differences.push(`file ${seed}: ${ours ?? 'accepted'}`)
        }
        expect(differences).toEqual([])
      } finally {
        await rm(folder, { recursive: true, force: true })
      }
    },
  )

  it('opens no folder, no missing file and no file that changed its mind', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tunesmith-open-'))
    await expect(openSafetensors(folder)).rejects.toMatchObject({ code: 'invalid_file' })
    await expect(openSafetensors(join(folder, 'x.safetensors'))).rejects.toMatchObject({ code: 'not_found' })
    const path = join(folder, 'a.safetensors')
    await writeFile(path, assemble(`{${entry('a', 0, 4)}}`, 4))
    const file = await openSafetensors(path)
    await writeFile(path, 'short')
    await expect(file.read('a')).rejects.toMatchObject({ code: 'invalid_file', where: path })
    await file.close()
    await rm(folder, { recursive: true })
  })
})
