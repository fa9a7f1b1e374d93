/**
 * A streamed completion of a server that speaks OpenAI's API.
 *
 * @returns its text, how many chunks had some of it (`tokens`), and when they came, in `performance.now()`'s milliseconds
 */
export async function streamCompletion(url, body) {
  const response = await fetch(`${url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ ...body, stream: true }),
  })
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`)
  const decoder = new TextDecoder()
  const times = []
  let [text, rest, usage] = ['', '', undefined]
  for await (const bytes of response.body) {
    rest += decoder.decode(bytes, { stream: true })
    const lines = rest.split('\n')
    rest = lines.pop()
    for (const line of lines) {
      if (!line.startsWith('data: {')) continue
      const chunk = JSON.parse(line.slice(6))
      if (chunk.error) throw new Error(chunk.error.message)
      const [choice] = chunk.choices ?? []
      usage = chunk.usage ?? usage
      if (choice) times.push(performance.now())
      text += choice?.text ?? ''
    }
  }
  return { text, times, first: times[0], tokens: usage?.completion_tokens ?? body.max_tokens }
}
