import { expect, test } from 'vitest';
import { messagesForEngine } from '#inference/openai/engine-messages.ts';

test('gives no engine a null but the content beside tool calls', () => {
  const calls = [{ id: 'a', type: 'function', function: { name: 'f', arguments: '{}' } }];
  const absent = { name: null, function_call: null, refusal: null, audio: null, reasoning: null };
  expect(
    messagesForEngine([
      { role: 'user', content: 'x', ...absent, tool_calls: null, tool_call_id: null },
      { role: 'assistant', content: null, ...absent, tool_calls: calls },
      { role: 'tool', content: '1', ...absent, tool_call_id: 'a' },
    ]),
  ).toEqual([
    { role: 'user', content: 'x' },
    { role: 'assistant', content: null, tool_calls: calls },
    { role: 'tool', content: '1', tool_call_id: 'a' },
  ]);
});

test('gives no engine a field of a content part beside the one of its type', () => {
  const image = 'data:image/png;base64,AAAA';
  const address = 'http://169.254.169.254/latest/meta-data/';
  // By its `uuid`, vLLM would take the text for an image: fetch it, or take one that another tenant has sent.
  const disguised = [
    { type: 'text', text: 'x', uuid: 'a', image_url: { url: address } },
    { type: 'text', text: 'x', uuid: 'a', image_url: address },
    { type: 'text', text: 'x', uuid: 'a', image_embeds: 'AAAA' },
    { type: 'text', text: 'x', uuid: 'a', video_url: { url: 'file:///etc/passwd' } },
  ];
  const others = [
    { type: 'refusal', refusal: 'no', uuid: 'a', audio_url: { url: address } },
    { type: 'image_url', image_url: { url: image, detail: 'low', uuid: 'a', format: null }, uuid: 'a' },
    { type: 'image_url', image_url: image, uuid: 'logo', audio_url: { url: address } },
    { type: 'input_audio', input_audio: { data: 'AAAA', format: 'wav', url: address }, uuid: 'a' },
  ];
  const [message] = messagesForEngine([{ role: 'user', content: [...disguised, ...others] }]);
  expect(message).toEqual({
    role: 'user',
    content: [
      ...disguised.map(() => ({ type: 'text', text: 'x' })),
      { type: 'refusal', refusal: 'no' },
      { type: 'image_url', image_url: { url: image, detail: 'low' } },
      { type: 'image_url', image_url: image },
      { type: 'input_audio', input_audio: { data: 'AAAA', format: 'wav' } },
    ],
  });
});
