/**
 * The page in a real browser. Screenshots go to the folder that TUNESMITH_SCREENSHOTS names; TUNESMITH_CHROMIUM names a browser that is not
 * in its usual place.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import axe from 'axe-core'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type PageServer, startPageServer } from '../src/testing/page-server'

const candidates = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
const executablePath = process.env.TUNESMITH_CHROMIUM ?? candidates.find((path) => existsSync(path))
if (!executablePath)
  console.log('The tests of the chat page were skipped: no Chromium is installed (apt-get install chromium)')

const NOTICE = 'Written by a machine. This is no medical advice.'

describe.skipIf(!executablePath)('the chat page', () => {
  let server: PageServer
  let browser: Browser
  /** What the browser complained of. */
  let complaints: string[] = []

  beforeAll(async () => {
    server = await startPageServer({ notice: NOTICE })
    browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] })
  })
  afterAll(async () => {
    await browser?.close()
    await server?.close()
  })
  afterEach(async () => {
    await Promise.all(browser.contexts().map((context) => context.close()))
    const seen = complaints
    complaints = []
    expect(seen).toEqual([])
  })

  interface Opening extends BrowserContextOptions {
    url?: string
    /** What the browser may complain of. */
    expected?: RegExp
  }
  async function openPage({ url = server.url, expected, ...options }: Opening = {}) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options })
    context.setDefaultTimeout(15_000)
    const page = await context.newPage()
    page.on('console', (message) => {
      if (message.type() === 'error' && !expected?.test(message.text())) complaints.push(message.text())
    })
    page.on('pageerror', (error) => complaints.push(String(error)))
    await page.goto(url)
    return page
  }
  const field = (page: Page) => page.getByLabel('Message', { exact: true })
  const answers = (page: Page) => page.locator('.answer')
  const regenerate = (page: Page) => page.getByRole('button', { name: 'Regenerate' })
  async function ask(page: Page, question: string, ended = true) {
    await field(page).fill(question)
    await field(page).press('Enter')
    if (ended) await regenerate(page).waitFor()
  }
  async function shoot(page: Page, name: string) {
    const folder = process.env.TUNESMITH_SCREENSHOTS
    if (folder) await page.screenshot({ path: join(folder, `${name}.png`), animations: 'disabled' })
  }
  async function expectAccessible(page: Page) {
    // Through the debugger, which the page's own policy does not bind.
    await page.evaluate(axe.source)
    const { violations } = await page.evaluate(() => (window as unknown as { axe: typeof axe }).axe.run())
    expect(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])).toEqual([])
  }

  it('asks the model itself, whose answer is the API’s own', async () => {
    const page = await openPage()
    await page.getByRole('heading', { name: 'Ask tuned' }).waitFor()
    expect(await page.title()).toBe('tiny')
    await page.getByLabel('Model', { exact: true }).selectOption('tiny')
    await page.getByRole('heading', { name: 'Ask tiny' }).waitFor()
    expect(await page.getByText(NOTICE).isVisible()).toBe(true)
    await page.getByRole('button', { name: 'Settings', exact: true }).click()
    await page.getByLabel('System prompt').fill('Be brief.')
    await page.getByLabel('Temperature').fill('0')
    await page.getByLabel('Longest answer').fill('24')
    await shoot(page, 'settings')
    await expectAccessible(page)
    await page.keyboard.press('Escape')
    await ask(page, 'What is a café?')
    const { messages, ...body } = server.asked.at(-1)!
    expect(messages).toEqual([
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'What is a café?' },
    ])
    expect(body).toEqual({ model: 'tiny', temperature: 0, max_tokens: 24, stream: true })
    const response = await fetch(`${server.url}/v1/chat/completions`, {
      method: 'POST',
      body: JSON.stringify({ ...body, messages, stream: false }),
    })
    const { choices } = (await response.json()) as { choices: { message: { content: string } }[] }
    const kept = await page.evaluate(() => Object.entries(localStorage).find(([key]) => key.includes('chat'))![1])
    expect(JSON.parse(kept).turns[0].answers[0].text).toBe(choices[0]!.message.content)
    await page.getByText('Ended at its longest length.').waitFor()
  })

  it('streams, stops, regenerates and edits', async () => {
    const page = await openPage()
    await ask(page, 'count for me', false)
    await answers(page).getByText('1 2 3 4 5').waitFor()
    expect(await answers(page).getAttribute('aria-busy')).toBe('true')
    const left = server.left()
    await page.getByRole('button', { name: 'Stop' }).click()
    await page.getByText('Stopped.').waitFor()
    await expect.poll(() => server.left()).toBe(left + 1)
    const before = await answers(page).textContent()
    await regenerate(page).click()
    await page.getByText('Stopped.').waitFor({ state: 'detached' })
    await answers(page).getByText('1 2 3').waitFor()
    await page.keyboard.press('Escape')
    await page.getByText('Stopped.').waitFor()
    expect(await answers(page).count()).toBe(1)
    expect(before).toContain('1 2 3 4 5')
    await ask(page, 'show me')
    await page.getByRole('button', { name: 'Edit question' }).first().click()
    await page.getByText('What follows below is removed.').waitFor()
    await page.getByLabel('Edited message').fill('show it differently')
    await page.getByLabel('Edited message').press('Enter')
    await expect.poll(() => answers(page).count()).toBe(1)
    await page.getByRole('heading', { name: 'What helps' }).waitFor()
    expect(server.asked.at(-1)!.messages).toEqual([{ role: 'user', content: 'show it differently' }])
  })

  it('is stopped before a word came, keeps what there was over a reload, and leaves the keyboard where it can go on', async () => {
    const page = await openPage()
    const focused = () => page.evaluate(() => document.activeElement?.getAttribute('aria-label'))
    await expect.poll(focused).toBe('Message')
    await ask(page, 'wait', false)
    await page.locator('.waiting').waitFor()
    await page.keyboard.press('Tab')
    expect(await focused()).toBe('Stop')
    await page.keyboard.press('Enter')
    await page.getByText('Stopped.').waitFor()
    await page.getByRole('button', { name: 'Edit question' }).click()
    await expect.poll(focused).toBe('Edited message')
    await page.keyboard.press('Escape')
    await expect.poll(focused).toBe('Edit question')
    await ask(page, 'count', false)
    await answers(page).getByText('1 2 3').waitFor()
    await page.reload()
    await answers(page).getByText('1 2 3').waitFor()
    expect(await page.locator('.answer .note').allTextContents()).toEqual(['Stopped.', 'Stopped.'])
    await regenerate(page).focus()
    await page.keyboard.press('Enter')
    await expect.poll(focused).toBe('Message')
    await page.keyboard.press('Escape')
    await regenerate(page).waitFor()
  })

  it('lives with a history as large as a browser keeps', async () => {
    const page = await openPage()
    const answer = { model: 'tiny', text: 'Some **words** of an answer.\n\n- and\n- a list', end: 'stop' }
    const turns = Array.from({ length: 1000 }, (_, i) => ({ question: `question ${i}`, answers: [answer] }))
    const few = (id: string, changed: number) => ({ id, changed, turns: turns.slice(0, 3) })
    const conversations = Array.from({ length: 1000 }, (_, i) => few(`c${i}`, i))
    const importing = async (...all: object[]) => {
      const text = JSON.stringify({ format: 'tunesmith-conversations', version: 1, conversations: all })
      const file = { name: 'x.json', mimeType: 'application/json', buffer: Buffer.from(text) }
      await page.locator('input[type=file]').setInputFiles(file)
    }
    await importing(...conversations, { id: 'long', changed: 1e6, turns })
    await page.locator('.told').getByText('1001 conversations added.').waitFor()
    await page.locator('.side .title').first().click()
    await page.locator('.earlier').getByText('Show 900 earlier turns').click()
    await expect.poll(() => answers(page).count()).toBe(1000)
    await page.locator('#message').fill('show me')
    await page.locator('#message').press('Enter')
    await page
      .locator('.note')
      .getByText(/^The \d+ earliest turns did not fit/)
      .waitFor()
    await page.locator('.again').waitFor()
    await importing(few('other', 1), { id: 'c1', changed: 2e6, turns: [{ question: 'q'.repeat(6e6), answers: [] }] })
    await page.locator('.told').getByText('The browser has no room for what is in this file.').waitFor()
    expect(await page.evaluate(() => localStorage.getItem('tunesmith.chat.other'))).toBe(null)
    expect(await page.evaluate(() => localStorage.getItem('tunesmith.chat.c1')?.length)).toBeLessThan(2000)
  })

  it('works without a storage, and copies without a clipboard', async () => {
    const context = await browser.newContext({ permissions: ['clipboard-read', 'clipboard-write'] })
    await context.addInitScript(() => {
      const refuse = {
        get() {
          throw new DOMException('no', 'SecurityError')
        },
      }
      Object.defineProperties(window, { localStorage: refuse, sessionStorage: refuse })
      const { clipboard } = navigator
      Object.assign(window, { clipboard })
      Object.defineProperty(navigator, 'clipboard', { value: undefined })
    })
    const page = await context.newPage()
    page.on('pageerror', (error) => complaints.push(String(error)))
    await page.goto(server.url)
    await ask(page, 'sources please')
    await page.getByRole('button', { name: 'New conversation' }).click()
    await page.getByRole('button', { name: 'sources please', exact: true }).click()
    await page.getByRole('button', { name: 'Copy answer' }).click()
    const read = () => page.evaluate(() => (window as unknown as { clipboard: Clipboard }).clipboard.readText())
    await expect.poll(read).toBe('Warmth helps against a cold [1].')
  })

  it('sends the conversation along, of each model what it said itself', async () => {
    const page = await openPage()
    await page.getByRole('button', { name: 'Side by side' }).click()
    await ask(page, 'count', false)
    await expect
      .poll(async () => (await answers(page).allTextContents()).every((text) => text.includes('1 2')))
      .toBe(true)
    await page.keyboard.press('Escape')
    await regenerate(page).waitFor()
    expect(
      server.asked
        .slice(-2)
        .map(({ model }) => model)
        .sort(),
    ).toEqual(['tiny', 'tuned'])
    await page.getByLabel('Second model').selectOption('tiny')
    await page.getByRole('button', { name: 'Side by side' }).click()
    await page.getByLabel('Model', { exact: true }).selectOption('tuned')
    await ask(page, 'show me')
    const { model, messages } = server.asked.at(-1)!
    expect(model).toBe('tuned')
    expect(messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'user'])
    expect(messages[1]!.content).toMatch(/^1 2 /)
  })

  it('keeps the history over a reload, exports and imports it, deletes it', async () => {
    const page = await openPage()
    await ask(page, 'show me')
    await page.reload()
    await page.getByRole('heading', { name: 'What helps' }).waitFor()
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Export' }).click(),
    ])
    const file = await download.path()
    page.on('dialog', (dialog) => dialog.accept())
    await page.getByRole('button', { name: 'Delete show me' }).click()
    await page.getByRole('heading', { name: 'Ask tuned' }).waitFor()
    expect(await page.evaluate(() => Object.keys(localStorage).filter((key) => key.includes('chat')))).toEqual([])
    await page.getByLabel('File to import').setInputFiles(file)
    await page.getByText('1 conversation added.').waitFor()
    await page.getByRole('button', { name: 'show me', exact: true }).click()
    await page.getByRole('heading', { name: 'What helps' }).waitFor()
    const hostile = { name: 'x.json', mimeType: 'application/json', buffer: Buffer.from('{"format":1}') }
    await page.getByLabel('File to import').setInputFiles(hostile)
    await page.getByText('This file is no export of conversations.').waitFor()
    expect(readFileSync(file, 'utf8')).toContain('"format": "tunesmith-conversations"')
  })

  it('leaves whole turns out that do not fit, and says so', async () => {
    const page = await openPage({ expected: /400/ })
    await ask(page, `show ${'a'.repeat(100)}`)
    await ask(page, 'show again')
    await page.getByText('The earliest turn did not fit').waitFor()
    expect(server.asked.at(-1)!.messages).toEqual([{ role: 'user', content: 'show again' }])
    await page.getByRole('button', { name: 'Settings', exact: true }).click()
    await page.getByLabel('Longest answer').fill('20')
    await page.keyboard.press('Escape')
    await ask(page, `count ${'a'.repeat(340)}`, false)
    await answers(page).getByText('1 2 3').waitFor()
    await page.keyboard.press('Escape')
    await regenerate(page).waitFor()
    // What the server adds nobody can count here: refused once, the page leaves room for it.
    const before = server.asked.length
    await ask(page, `grounded ${'a'.repeat(40)}`)
    await page.getByText('1 source', { exact: true }).waitFor()
    await page.getByText('The 3 earliest turns did not fit').waitFor()
    expect(server.asked.length - before).toBe(2)
    expect(await page.locator('.wrong').count()).toBe(0)
    await ask(page, `show ${'a'.repeat(600)}`)
    await page
      .locator('.wrong')
      .getByText(/^This is \d+ tokens, and the model reads 512 tokens/)
      .waitFor()
  })

  it('shows sources, copies, and says what went wrong', async () => {
    const page = await openPage({ permissions: ['clipboard-read', 'clipboard-write'], expected: /429/ })
    await ask(page, 'sources please')
    await page.getByText('2 sources').click()
    await page.getByText('Warmth helps. <b>Rest</b> too.').waitFor()
    await page.getByRole('button', { name: 'Copy answer' }).click()
    expect(await page.evaluate(() => navigator.clipboard.readText())).toBe('Warmth helps against a cold [1].')
    await expectAccessible(page)
    await ask(page, 'grounded in something')
    await page.getByText('1 source', { exact: true }).click()
    await page.getByText('notes/colds.md').waitFor()
    await ask(page, 'fail please')
    await page.locator('.wrong').getByText('The server could not answer').waitFor()
    await ask(page, 'cut')
    await page.locator('.wrong').getByText('The connection ended in mid-answer.').waitFor()
    await ask(page, 'busy')
    await page.locator('.wrong').getByText('The server is busy. Please try again in a moment.').waitFor()
  })

  it('shows what a hostile model writes as text', { timeout: 90_000 }, async () => {
    const page = await openPage()
    const requests: string[] = []
    page.on('request', (request) => requests.push(request.url()))
    await ask(page, 'hostile <script>window.hit = 20</script><img src=x onerror=window.hit=21>')
    await page.locator('.answer').getByText('<script>window.hit = 1</script>').waitFor()
    expect(await page.evaluate(() => (window as unknown as { hit?: number }).hit)).toBeUndefined()
    const links = await page.locator('.answer a').evaluateAll((all) => all.map((a) => (a as HTMLAnchorElement).href))
    expect(links.filter((href) => !/^(https?|mailto):/.test(href))).toEqual([])
    expect(links).toContain('https://example.org/ok')
    expect(await page.locator('.answer :is(script, img, iframe, style, form, base, h1, h2)').count()).toBe(0)
    expect(requests.filter((url) => !url.startsWith(server.url))).toEqual([])
    await page.reload()
    await page.locator('.answer').getByText('<script>window.hit = 1</script>').waitFor()
    expect(await page.evaluate(() => (window as unknown as { hit?: number }).hit)).toBeUndefined()
  })

  it('lives with what would take a browser too deep or too long', async () => {
    const page = await openPage()
    await ask(page, 'deep')
    await answers(page).getByText('> > > deep').waitFor()
    await ask(page, 'slow')
    await answers(page).getByText('Slow: ***a** ***a**').waitFor()
  })

  it('refuses markup and code from anywhere else, even its own', async () => {
    const page = await openPage({ expected: /requires 'Trusted/ })
    const refused = await page.evaluate(() => {
      const attempt = (run: () => unknown) => {
        try {
          run()
          return 'done'
        } catch (error) {
          return (error as Error).name
        }
      }
      return [
        attempt(() => {
          document.body.innerHTML = '<b>markup</b>'
        }),
        attempt(() => {
          document.createElement('script').text = 'window.hit = 1'
        }),
        attempt(() => {
          document.createElement('script').src = 'page.js'
        }),
      ]
    })
    expect(refused).toEqual(['TypeError', 'TypeError', 'TypeError'])
  })

  it('asks for a key, keeps it for the tab, and asks again when it is no longer good', async () => {
    const own = await startPageServer({ apiKeys: ['secret-key'] })
    try {
      const page = await openPage({ url: own.url, expected: /401|ERR_CONNECTION/ })
      await page.getByLabel('API key').fill('wrong')
      await page.getByLabel('API key').press('Enter')
      await page.getByText('The API key is missing or not one of this server').waitFor()
      await expectAccessible(page)
      await page.getByLabel('API key').fill('secret-key')
      await page.getByLabel('API key').press('Enter')
      await page.getByRole('heading', { name: 'Ask tuned' }).waitFor()
      await ask(page, 'show me')
      await page.reload()
      await page.getByRole('heading', { name: 'What helps' }).waitFor()
      expect(await page.evaluate(() => JSON.stringify(localStorage))).not.toContain('secret-key')
      await own.close()
      await ask(page, 'show more')
      await page.locator('.wrong').getByText('The server does not answer. Is it still running?').waitFor()
      const other = await startPageServer({ apiKeys: ['other-key'], port: Number(new URL(own.url).port) })
      await ask(page, 'hello there', false)
      await page.getByRole('heading', { name: 'This server asks for a key' }).waitFor()
      await page.getByLabel('API key').fill('other-key')
      await page.getByRole('button', { name: 'Connect' }).click()
      await regenerate(page).click()
      await expect.poll(() => page.locator('.wrong').count()).toBe(1)
      await other.close()
    } finally {
      await own.close().catch(() => undefined)
    }
  })

  it.each([
    ['light', 1280],
    ['dark', 1280],
    ['light', 390],
    ['dark', 390],
  ] as const)('can be used by everybody: %s, %i pixels wide', async (colorScheme, width) => {
    const page = await openPage({ colorScheme, viewport: { width, height: 800 }, hasTouch: width < 500 })
    const name = (what: string) => `${colorScheme}-${width}-${what}`
    await page.getByRole('heading', { name: 'Ask tuned' }).waitFor()
    await shoot(page, name('welcome'))
    await expectAccessible(page)
    await ask(page, 'show me what helps against a cold')
    await shoot(page, name('answer'))
    await expectAccessible(page)
    await page.getByRole('button', { name: 'Side by side' }).click()
    await ask(page, 'sources please')
    await shoot(page, name('side-by-side'))
    await expectAccessible(page)
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
    expect(overflow).toBe(0)
    const ground = await page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor)
    const [red] = ground.match(/\d+/g)!.map(Number)
    expect(red! > 128).toBe(colorScheme === 'light')
    if (width > 500) return
    await page.getByRole('button', { name: 'Conversations' }).click()
    await page.getByRole('button', { name: 'New conversation' }).waitFor()
    await shoot(page, name('conversations'))
    await expectAccessible(page)
    await page.keyboard.press('Escape')
    await expect.poll(() => page.getByRole('button', { name: 'New conversation' }).isVisible()).toBe(false)
  })
})
