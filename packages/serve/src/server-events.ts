/** The JSON of a response's server-sent events, up to `[DONE]`. Leaving the iteration ends the answer. */
export async function* serverEvents<Value>({ body }: Response): AsyncGenerator<Value> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const bytes of body ?? []) {
    text += decoder.decode(bytes as Uint8Array, { stream: true })
    const events = text.split('\n\n')
    text = events.pop()!
    for (const event of events) {
      const data = /^data: (.*)$/m.exec(event)?.[1]
      if (data === '[DONE]') return
      if (data !== undefined) yield JSON.parse(data) as Value
    }
  }
}
