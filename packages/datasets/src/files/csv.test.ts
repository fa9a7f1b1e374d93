import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadDataset } from '../load/load'
import type { LoadOptions } from '../load/options'

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
