import { describe, expect, test } from 'vitest';
import { chooseTools } from '#router/turns/choose-tools.ts';

const tool = (name: string) => ({ type: 'function', function: { name, parameters: { type: 'object' } } });
const tools = [tool('search'), { type: 'custom', custom: { name: 'free' } }, tool('weather')];
const choose = (tool_choice: unknown) => chooseTools({ tools, tool_choice, logprobs: true });
const named = (name: string) => ({ type: 'function', function: { name } });
const among = (mode: string, ...names: string[]) => ({
  type: 'allowed_tools',
  allowed_tools: { mode, tools: names.map(named) },
});

describe('a choice of tools', () => {
  test.each(['auto', 'none', 'required', undefined, { type: 'custom', custom: { name: 'free' } }])(
    '%j is passed on as it is',
    (choice) => {
      expect(choose(choice)).toEqual({ tools, tool_choice: choice, logprobs: true });
    },
  );

  test('of one function is a call of the only one that is offered', () => {
    expect(choose(named('weather'))).toEqual({
      tools: [tool('weather')],
      tool_choice: 'required',
      logprobs: true,
    });
  });

  test('among some is an offer of these', () => {
    expect(choose(among('auto', 'weather'))).toMatchObject({ tools: [tool('weather')], tool_choice: 'auto' });
    expect(choose(among('required', 'weather', 'search'))).toMatchObject({
      tools: [tool('search'), tool('weather')],
      tool_choice: 'required',
    });
  });

  test.each([
    ['tool_choice', named('other')],
    ['tool_choice', named('free')],
    ['tool_choice.allowed_tools.tools', among('auto', 'weather', 'other')],
  ])('%s must be among the tools', (param, choice) => {
    expect(() => choose(choice)).toThrow(expect.objectContaining({ code: 'invalid_request', param }));
    expect(() => chooseTools({ tool_choice: choice })).toThrow(expect.objectContaining({ param }));
  });
});
