import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { escapeHtml } from '@tunesmith/core'
import { chromium, type Page } from 'playwright-core'
import type { ExampleRun } from './run'
import { showHtml } from './show'

/** A server with the chat page, as `startServer` gives it. */
export interface PageServer {
  url: string
  close(): Promise<void>
}

const BROWSERS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']

/** Asks both models a question on the page, greedily, and waits for their answers. */
async function askSideBySide(page: Page, url: string, question: string): Promise<string[]> {
  await page.goto(url)
  await page.getByRole('button', { name: 'Settings' }).click()
  await page.getByLabel('Temperature').fill('0')
  await page.getByLabel('Longest answer').fill('40')
  await page.keyboard.press('Escape')
  await page.getByRole('button', { name: 'Side by side' }).click()
  await page.getByLabel('Message', { exact: true }).fill(question)
  await page.keyboard.press('Enter')
  await page.getByRole('button', { name: 'Regenerate' }).waitFor({ timeout: 120_000 })
  return page.locator('.answer .markdown').allInnerTexts()
}

/**
 * Asks a question on the chat page of a server, two models side by side, and shows the page as it then looks.
 *
 * @returns what was answered; undefined where there is no Chromium, which is said.
 */
export async function showPage(run: ExampleRun, { url }: PageServer, question: string): Promise<string[] | undefined> {
  const executablePath = process.env.TUNESMITH_CHROMIUM ?? BROWSERS.find((path) => existsSync(path))
  if (!executablePath) {
    console.log('No Chromium is installed here, so there is no picture of the page.')
    return undefined
  }
  const file = join(run.outputDir, 'page.png')
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] })
  try {
    const page = await browser.newPage({ viewport: { width: 1120, height: 700 } })
    const answers = await askSideBySide(page, url, question)
    await page.screenshot({ path: file, animations: 'disabled' })
    const image = readFileSync(file).toString('base64')
    const alt = `The chat page with the question “${question}” and two answers: ${answers.join(' / ')}`
    showHtml(
      `<img src="data:image/png;base64,${image}" width="1120" height="700" alt="${escapeHtml(alt)}">`,
      `the page: ${relative(process.cwd(), file)}`,
    )
    return answers
  } finally {
    await browser.close()
  }
}

const OPENERS: Partial<Record<NodeJS.Platform, [string, ...string[]]>> = {
  darwin: ['open'],
  win32: ['cmd', '/c', 'start', ''],
}

/** Opens an address in the reader's own browser, where there is one. */
function openInBrowser(url: string): void {
  const [program, ...args] = OPENERS[process.platform] ?? ['xdg-open']
  const opened = spawn(program, [...args, url], { stdio: 'ignore', detached: true })
  opened.on('error', () => {})
  opened.unref()
}

/** With `--serve` opens the page and keeps it there until Ctrl-C; otherwise the server closes. */
export async function endOnPage(run: ExampleRun, server: PageServer): Promise<void> {
  if (run.serve) {
    console.log(`The page is at ${server.url}; Ctrl-C stops`)
    if (process.stdout.isTTY) openInBrowser(server.url)
    await new Promise<void>((resolve) => {
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve())
    })
  }
  await server.close()
}
