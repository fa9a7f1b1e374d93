import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadDataset } from '../load/load'
import type { LoadOptions } from '../load/options'
import { CsvRecords } from './csv-records'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tunesmith-csv-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function load(text: string | Buffer, options: LoadOptions = {}, name = 'x.csv') {
  await writeFile(join(folder, name), text)
  return loadDataset(join(folder, name), options as { streaming?: false })
}

describe('readCsv', () => {
  it('reads quotes, delimiters and line breaks inside fields; an empty field is null', async () => {
    const dataset = await load('\ufeffa,b,c\r\n1,"x, ""y""\nz",\r\n"","\r\n",ü\r\n')
    expect(dataset.toArray()).toEqual([
      { a: '1', b: 'x, "y"\nz', c: null },
      { a: null, b: '\r\n', c: 'ü' },
    ])
    expect([dataset.where(0), dataset.where(1)]).toEqual([join(folder, 'x.csv:2'), join(folder, 'x.csv:4')])
  })

  // What `datasets.load_dataset('csv', ...)` of datasets 5.0.1 reads, which is pandas' C parser.
  it.each([
    ['a,b\n"x"y,1\n', [['xy', '1']]],
    ['a,b\n"He said "hi" to me",ok\n', [['He said hi" to me"', 'ok']]],
    [
      'a,b\n1,2\n   \n3,4\n \t \n',
      [
        ['1', '2'],
        ['3', '4'],
      ],
    ],
    [
      'a,b\r1,2\r3,4\r',
      [
        ['1', '2'],
        ['3', '4'],
      ],
    ],
    ['a,b\n x,"y" \n', [[' x', 'y ']]],
    ['a,b\nx"y"z,2\n', [['x"y"z', '2']]],
    ['a,b\n"x""y"z"w,1\n', [['x"yz"w', '1']]],
    [
      'a,b\n"u\nv",2\n\n\n3,4',
      [
        ['u\nv', '2'],
        ['3', '4'],
      ],
    ],
    [
      'a,b\n"q",1\r\n"r",2\r\n',
      [
        ['q', '1'],
        ['r', '2'],
      ],
    ],
    ['a\n""\n"b"\n', [[null], ['b']]],
  ])('reads %j as pandas does', async (text, rows) => {
    for (const name of ['x.csv', 'x.tsv']) {
      const dataset = await load(
        name === 'x.csv' ? text : text.replaceAll(',', '\t').replaceAll(' \t ', '   '),
        {},
        name,
      )
      expect(dataset.toArray().map((row) => Object.values(row))).toEqual(rows)
    }
  })

  it('reads the same wherever the file is cut into pieces', () => {
    const text = 'a,b\r\n"x ""y""\r\nz",1\r\n  \r\n 2,"q"w\r3,\n'
    const whole = new CsvRecords(',', 'x')
    const expected = [...whole.push(text), ...whole.end()]
    expect(expected.map(({ line }) => line)).toEqual([1, 2, 5, 6])
    for (let size = 1; size < text.length; size++) {
      const cut = new CsvRecords(',', 'x')
      const records = []
      for (let at = 0; at < text.length; at += size) records.push(...cut.push(text.slice(at, at + size)))
      expect([...records, ...cut.end()]).toEqual(expected)
    }
  })

  it('keeps values as text unless asked to look for types', async () => {
    const text = 'id,score,ok,word,blank\n007,1.5,True,NA,\n8,-2e3,false,x,NaN\n'
    expect((await load(text)).at(0)).toEqual({ id: '007', score: '1.5', ok: 'True', word: 'NA', blank: null })
    expect((await load(text, { inferTypes: true })).toArray()).toEqual([
      { id: 7, score: 1.5, ok: true, word: null, blank: null },
      { id: 8, score: -2000, ok: false, word: 'x', blank: null },
    ])
  })

  it('keeps a column as text when one value is no number, or too large for one', async () => {
    const dataset = await load('a,b\n1,9007199254740993\n2x,5\n', { inferTypes: true })
    expect(dataset.toArray()).toEqual([
      { a: '1', b: '9007199254740993' },
      { a: '2x', b: '5' },
    ])
  })

  it('reads TSV, other delimiters, and files without a header', async () => {
    expect((await load('a\tb\n1,5\t"x\ty"\n', {}, 'x.tsv')).toArray()).toEqual([{ a: '1,5', b: 'x\ty' }])
    expect((await load('a;b\n1;2\n', { delimiter: ';' })).toArray()).toEqual([{ a: '1', b: '2' }])
    expect((await load('1,2\n', { header: false })).toArray()).toEqual([{ column_1: '1', column_2: '2' }])
    expect((await load('1,2\n', { header: ['x', 'y'] })).toArray()).toEqual([{ x: '1', y: '2' }])
  })

  it('names the line of a record of the wrong width, or skips it', async () => {
    const text = 'a,b\n1,2\n1,2,3\n\n4,5\n6\n'
    await expect(load(text)).rejects.toMatchObject({ code: 'invalid_data', where: join(folder, 'x.csv:3') })
    const dataset = await load(text, { onError: 'skip' })
    expect(dataset.toArray()).toEqual([
      { a: '1', b: '2' },
      { a: '4', b: '5' },
    ])
    expect(dataset.skipped.log.map(({ where }) => where?.replace(/.*:/, ''))).toEqual(['3', '6'])
  })

  it('refuses a quote without end, two columns of one name, and other encodings', async () => {
    await expect(load('a,b\n1,2\n3,"x\ny\n')).rejects.toMatchObject({
      code: 'invalid_file',
      where: join(folder, 'x.csv:3'),
    })
    await expect(load('a,a\n1,2\n')).rejects.toThrow(/Two columns are named "a"/)
    await expect(load(Buffer.from('a\n\xe9t\xe9\n', 'latin1'))).rejects.toThrow(/not UTF-8/)
    await expect(load('')).rejects.toThrow(/The file is empty/)
  })

  it('streams', async () => {
    await writeFile(join(folder, 's.csv'), `a,b\n${Array.from({ length: 3000 }, (_, i) => `${i},"${i}\n"\n`).join('')}`)
    const stream = await loadDataset(join(folder, 's.csv'), { streaming: true })
    const rows = await stream.skip(2500).take(2).collect()
    expect(rows.toArray()).toEqual([
      { a: '2500', b: '2500\n' },
      { a: '2501', b: '2501\n' },
    ])
    expect(rows.where(0)).toBe(join(folder, `s.csv:${2 + 2 * 2500}`))
  })
})
