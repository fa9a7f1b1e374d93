import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { noCode } from '../checks/checks'
import { compare } from '../evaluate/evaluate'
import { ChromiumPage, findChromium } from '../testing/chromium'
import { lineChart } from './line-chart'

const path = findChromium()
const hostile = '<script>document.title = "taken"; alert(1)</script><img src="http://127.0.0.1:9/x" onerror="alert(2)">'
const long = 'averyveryverylongwordwithoutanyplacetobreak'.repeat(4)

const rows = Array.from({ length: 40 }, (_, i) => ({
  id: `note ${i}`,
  prompt: i === 3 ? hostile : `Summarize note ${i} for the patient.`,
  reference: `The patient should rest for ${i} days and drink water.`,
  outputs: {
    'base model': i === 3 ? hostile : `Rest ${i} days. ${i % 5 === 0 ? '```js\nlet x = 1\n```' : 'Water is good.'}`,
    'tuned adapter':
      i === 3 ? `${hostile} ${long} 山川 🎈` : `The patient should rest for ${i} days and drink some water.`,
  },
}))

/** The lowest contrast (WCAG 2) of any visible text with the background behind it, and the smallest text. */
const MEASURE = `(() => {
  const parse = (colour) => colour.match(/[\\d.]+/g).map(Number)
  const light = ([r, g, b]) => [r, g, b].map((c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0)
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor)
      if (colour.length === 3 || colour[3] > 0) return colour
    }
    return [255, 255, 255]
  }
  let contrast = [Infinity], size = [Infinity]
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement
    if (!walker.currentNode.data.trim() || ['STYLE', 'SCRIPT', 'style'].includes(element.tagName)) continue
    const range = document.createRange()
    range.selectNodeContents(walker.currentNode)
    const box = range.getBoundingClientRect()
    if (box.width === 0) continue
    const style = getComputedStyle(element)
    const inSvg = element.namespaceURI.endsWith('svg')
    const [a, b] = [light(parse(inSvg ? style.fill : style.color)), light(behind(element))]
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
    const what = element.tagName + ' ' + walker.currentNode.data.slice(0, 30)
    if (ratio < contrast[0]) contrast = [ratio, what]
    const pixels = inSvg ? parseFloat(style.fontSize) * element.ownerSVGElement.getBoundingClientRect().width / 480 : parseFloat(style.fontSize)
    if (pixels < size[0]) size = [pixels, what]
  }
  return { contrast, size, width: document.documentElement.scrollWidth, scripts: document.scripts.length,
    images: document.images.length, title: document.title, text: document.body.innerText, height: document.documentElement.scrollHeight }
})()`

describe.skipIf(!path)('the report in Chromium', () => {
  let page: ChromiumPage
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'report-'))
    const chart = lineChart({
      series: [
        { name: 'training loss', points: Array.from({ length: 300 }, (_, i) => [i, 2 * Math.exp(-i / 80) + 0.4]) },
        {
          name: 'validation loss',
          points: [
            [0, 2.5],
            [100, 1.2],
            [200, 0.8],
            [299, 0.75],
          ],
        },
      ],
      title: 'Loss',
      xLabel: 'step',
      yLabel: 'nats per token',
    })
    await compare({
      rows,
      checks: [noCode()],
      title: 'Base and tuned',
      subtitle: `on 40 notes, ${long}`,
      sections: [{ title: 'Training', html: chart }],
      outputFolder: folder,
      blind: true,
      samples: 200,
    })
    page = await ChromiumPage.open(path ?? '')
  }, 60_000)
  afterAll(async () => {
    await page?.close()
    if (folder) await rm(folder, { recursive: true })
  })

  it.each([
    ['report', 400, 'light'],
    ['report', 400, 'dark'],
    ['report', 1400, 'light'],
    ['report', 1400, 'dark'],
    ['review', 400, 'dark'],
    ['review', 1400, 'light'],
  ] as const)('%s at %i px, %s', async (name, width, scheme) => {
    await page.show(pathToFileURL(join(folder, `${name}.html`)).href, width, scheme)
    await page.evaluate(`document.querySelectorAll('details').forEach((details) => { details.open = true })`)
    const seen = await page.evaluate<{
      contrast: [number, string]
      size: [number, string]
      width: number
      scripts: number
      images: number
      title: string
      text: string
    }>(MEASURE)
    expect(page.problems()).toEqual([])
    expect(seen.width).toBeLessThanOrEqual(width)
    expect(seen.contrast[0], seen.contrast[1]).toBeGreaterThan(4.5)
    expect(seen.size[0], seen.size[1]).toBeGreaterThan(8.5)
    expect(seen.images).toBe(0)
    expect(seen.scripts).toBe(name === 'review' ? 1 : 0)
    expect(seen.title).toBe(name === 'review' ? 'Blind review' : 'Base and tuned')
    expect(seen.text).toContain('<script>document.title = "taken"; alert(1)</script>')
    if (process.env.TUNESMITH_SCREENSHOTS)
      await writeFile(
        join(process.env.TUNESMITH_SCREENSHOTS, `${name}-${width}-${scheme}.png`),
        await page.screenshot(),
      )
  })

  it('saves a reviewer’s choices', async () => {
    await page.show(pathToFileURL(join(folder, 'review.html')).href, 800, 'light')
    const csv = await page.evaluate<string>(`(async () => {
      let blob
      URL.createObjectURL = (value) => { blob = value; return '#' }
      const first = document.querySelector('fieldset')
      first.querySelector('input[value=left]').click()
      first.querySelector('textarea').value = 'a "good" one'
      document.getElementById('save').click()
      return blob.text()
    })()`)
    expect(csv.split('\r\n')[0]).toBe('id,choice,comment')
    expect(csv).toMatch(/^"note \d+",left,"a ""good"" one"\r$/m)
    expect(csv.split('\r\n')).toHaveLength(42)
  })
})
