import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Hono } from 'hono'
import { describe, expect, it } from 'vitest'
import { addPage } from './page'

const app = new Hono()
addPage(app, { title: '<b>"model"', notice: `no advice' onload="hit()` })

describe('the page', () => {
  it('is at most 60 kB altogether as it is sent', async () => {
    let sum = 0
    for (const path of ['/', '/page.js', '/page.css', '/icon.svg']) {
      const response = await app.request(path, { headers: { 'accept-encoding': 'gzip, br' } })
      expect([path, response.status, response.headers.get('content-encoding')]).toEqual([path, 200, 'gzip'])
      sum += (await response.arrayBuffer()).byteLength
    }
    expect(sum).toBeLessThan(60_000)
  })

  it('takes what the application says as text', async () => {
    const text = await (await app.request('/')).text()
    expect(text).toContain('<title>&lt;b&gt;&quot;model&quot;</title>')
    expect(text).toContain('data-notice="no advice&#39; onload=&quot;hit()"')
    expect(text).not.toMatch(/<script>|style=|<style|https?:/)
  })

  it('is not sent again unless it has changed, and never with a loose policy', async () => {
    const first = await app.request('/page.js')
    const etag = first.headers.get('etag')!
    const again = await app.request('/page.js', { headers: { 'if-none-match': etag } })
    expect([again.status, (await again.arrayBuffer()).byteLength]).toEqual([304, 0])
    const policy = first.headers.get('content-security-policy')!
    expect(policy).not.toMatch(/unsafe|\*|https?:/)
    expect(policy).toContain("require-trusted-types-for 'script'; trusted-types 'none'")
  })

  it('has the licenses of what is in it', async () => {
    const text = await (await app.request('/licenses.txt')).text()
    expect(text).toMatch(/preact[\s\S]*Permission is hereby granted[\s\S]*marked[\s\S]*Permission is hereby granted/)
  })

  it('never makes markup of text', () => {
    const folder = fileURLToPath(new URL('../page', import.meta.url))
    const sources = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => /\.tsx?$/.test(name))
    const found = sources
      .filter((name) => !name.endsWith('.test.ts'))
      .filter((name) =>
        /innerHTML|outerHTML|insertAdjacentHTML|document\.write/i.test(readFileSync(`${folder}/${name}`, 'utf8')),
      )
    expect(sources.length).toBeGreaterThan(20)
    expect(found).toEqual([])
  })
})
