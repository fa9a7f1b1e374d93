import { concat, double, float, integer, type Message, message, text } from './protobuf'

// Field numbers of tensorflow's event.proto, summary.proto and tensor.proto.

const event = (wallTime: number, step: number, ...content: Message[]) =>
  concat([double(1, wallTime), integer(2, step), ...content])

/** The first record of every file. */
export const fileVersion = (wallTime: number): Message => concat([double(1, wallTime), text(3, 'brain.Event:2')])

/** Tells readers that training (re)starts at `step`: what older files have from there on is void. */
export const sessionStart = (wallTime: number, step: number): Message =>
  event(wallTime, step, message(7, integer(1, 1)))

export function scalars(wallTime: number, step: number, values: Record<string, number>): Message {
  const summaries = Object.entries(values).map(([tag, value]) => message(1, text(1, tag), float(2, value)))
  return event(wallTime, step, message(5, ...summaries))
}

/** Markdown, for the text tab: a tensor of one string. */
export function markdown(wallTime: number, step: number, tag: string, content: string): Message {
  const DT_STRING = 7
  const tensor = message(8, integer(1, DT_STRING), message(2), text(8, content))
  const metadata = message(9, message(1, text(1, 'text')))
  return event(wallTime, step, message(5, message(1, text(1, `${tag}/text_summary`), tensor, metadata)))
}
