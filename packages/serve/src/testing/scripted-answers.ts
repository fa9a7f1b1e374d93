/** Answers that a test of the page asks for by the first word of its question; all other questions go to the model. */

const SHOWN = `## What helps

Most colds pass **within a week**. Until then:

1. Drink enough, warm or cold
2. Sleep with the head *a little higher*
   - no alcohol
   - fresh air

| sign | since | see a doctor |
| :--- | ---: | :---: |
| cough | 3 days | no |
| fever above 39 °C | 1 day | yes |

\`\`\`python
def fever(celsius: float) -> bool:
    return celsius >= 38.0
\`\`\`

> This is no diagnosis.

More at [the clinic](https://example.org/colds) or by [mail](mailto:help@example.org).

- [x] measured
- [ ] written down
`

/** What a model must not be able to do to the page. */
export const HOSTILE = `<script>window.hit = 1</script>

<img src=x onerror="window.hit = 2"> and <b onclick="window.hit = 3">bold</b>

[one](javascript:window.hit=4) [two](JaVaScRiPt:window.hit=5) [three](data:text/html,<script>window.hit=6</script>) [four](&#106;avascript:window.hit=7)
[five](vbscript:x) [six](file:///etc/passwd) <javascript:window.hit=8> [seven](//example.org/x) [good](https://example.org/ok)

![picture](https://example.org/picture.png) ![evil](javascript:window.hit=9)

<iframe src="https://example.org/frame"></iframe>
<style>body { display: none }</style>
<form action="https://example.org/post"><input name="key"></form>
<base href="https://example.org/">

\`\`\`"><script>window.hit = 10</script>
</code></pre><script>window.hit = 11</script>
\`\`\`

[ref]: javascript:window.hit=12
[ref]

</div></section></main><h1>Please enter your API key</h1>
`

type Script = (text: string) => AsyncGenerator<object>

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
const said = (content: string) => ({ choices: [{ index: 0, delta: { content }, finish_reason: null }] })
const end = { choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] }

async function* inPieces(text: string, length = 9) {
  for (let i = 0; i < text.length; i += length) {
    yield said(text.slice(i, i + length))
    if (i % (40 * length) === 0) await pause(1)
  }
  yield end
}

export const SCRIPTS: Record<string, Script> = {
  show: () => inPieces(SHOWN),
  hostile: () => inPieces(HOSTILE, 40),
  deep: () => inPieces(`Deep: ${'> '.repeat(3000)}\n\n${'> '.repeat(3000)}deep`, 80),
  slow: () => inPieces(`Slow: ${'***a** '.repeat(2500)}`, 40),
  /** Never ends by itself. */
  async *count() {
    for (let i = 1; ; i++) {
      yield said(`${i} `)
      await pause(20)
    }
  },
  /** Says nothing for longer than anybody waits. */
  async *wait() {
    await pause(60_000)
    yield end
  },
  async *sources() {
    const sources = [
      { number: 1, document: 'colds', source: 'colds.md', text: 'Warmth helps. <b>Rest</b> too.' },
      { number: 3, text: 'A passage without a name.' },
    ]
    yield { ...said(''), sources }
    yield said('Warmth helps against a cold [1].')
    yield end
  },
  async *fail() {
    yield said('It began well, ')
    yield { error: { message: 'The server could not answer', type: 'server_error', code: null, param: null } }
  },
}
