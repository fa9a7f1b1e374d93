import { afterEach, expect, it, vi } from 'vitest'
import { invalidData, plainJson, plainText, RequestError, redactSecrets, rememberSecret } from './index'

afterEach(() => vi.unstubAllEnvs())

it('takes known keys out of messages, in the forms that servers repeat them', () => {
  vi.stubEnv('HF_TOKEN', 'hf_abc/def==')
  vi.stubEnv('WANDB_API_KEY', '0123456789abcdef\n')
  vi.stubEnv('SOME_TOKEN', 'short')
  vi.stubEnv('PUBLIC_NAME', 'not-a-secret')
  rememberSecret('hf_abc/def==longer')
  const base64 = Buffer.from('hf_abc/def==').toString('base64')
  expect(
    redactSecrets(
      `Bearer hf_abc/def==longer, hf_abc/def==, hf_abc%2Fdef%3D%3D ${base64} 0123456789abcdef short not-a-secret`,
    ),
  ).toBe('Bearer ***, ***, *** *** *** short not-a-secret')
  const { message, what, where, remedy } = invalidData('said hf_abc/def==', {
    where: 'at hf_abc/def==',
    remedy: 'Do hf_abc/def==',
  })
  expect([message, what, where, remedy].join()).not.toContain('hf_abc')
  expect(new RequestError('said 0123456789abcdef', false).message).toBe('said ***')
})

it('writes control characters out', () => {
  expect(plainText('a\x1b[31mred\x1b]0;title\x07\tb\r\nc\rd\x9b2J\x7f é 👩‍⚕️')).toBe(
    'a\\x1b[31mred\\x1b]0;title\\x07\tb\r\nc\\x0dd\\x9b2J\\x7f é 👩‍⚕️',
  )
  expect(invalidData('row \x1b[2J').message).toBe('row \\x1b[2J')
  const value = { text: '\x1b \x9b \x7f é' }
  expect(JSON.parse(plainJson(value))).toEqual(value)
  expect(plainJson(value)).toBe('{"text":"\\u001b \\u009b \\u007f é"}')
})
