import { describe, expect, it } from 'vitest';
import { parseHtml } from '#rag/ingest/parse/parse-html.ts';

const blocks = (html: string) => {
  const [page] = parseHtml(html).pages;
  return page?.blocks.map(({ kind, start, end }) => [kind, page.text.slice(start, end)]);
};

describe('parseHtml', () => {
  it('reads blocks, and decodes entities', () => {
    expect(
      blocks(
        '<h1>Caf&eacute; &amp; <em>bar</em></h1><p>One\n  <b>bold</b>&nbsp;word<br>next&#x2014;line</p>tail<pre><code>if (a &lt; b) {\n  x\n}</code></pre>',
      ),
    ).toEqual([
      ['heading', 'Café & bar'],
      ['paragraph', 'One bold word\nnext—line'],
      ['paragraph', 'tail'],
      ['code', 'if (a < b) {\n  x\n}'],
    ]);
  });

  it('reads lists with their nesting and numbers', () => {
    expect(
      blocks('<ul><li>a<ol><li>b</li><li><p>c</p><p>d</p></li></ol></li><li>e<pre>code</pre>f</li></ul>'),
    ).toEqual([
      ['list', '- a\n  1. b\n  2. c\n    d\n- e'],
      ['code', 'code'],
      ['list', 'f'],
    ]);
  });

  it('reads tables of data as rows, and tables that lay out a page as its text', () => {
    expect(
      blocks(
        '<table><caption>T</caption><tr><th>A</th><th>B</th></tr><tr><td><p>1</p><p>2</p></td><td></td></tr></table>',
      ),
    ).toEqual([['table', 'T\nA | B\n1 2 |']]);
    expect(
      blocks(
        '<table><tr><td>side</td><td><h2>Main</h2><p>text</p><table><tr><td>in</td><td>ner</td></tr></table>end</td></tr></table>',
      ),
    ).toEqual([
      ['paragraph', 'side'],
      ['heading', 'Main'],
      ['paragraph', 'text'],
      ['table', 'in | ner'],
      ['paragraph', 'end'],
    ]);
  });

  it('leaves out what nobody reads', () => {
    expect(
      blocks(
        '<head><title>T</title><style>p{}</style></head><nav>menu</nav><script>x("<p>no</p>")</script><p hidden>no</p><p style="color:red; display : none">no</p><div aria-hidden="true">no<p>no</p></div><div role="navigation">no</div><template><p>no</p></template><noscript>no</noscript><svg><title>no</title><text>no</text></svg><!-- no --><button>no</button><p>yes</p>',
      ),
    ).toEqual([['paragraph', 'yes']]);
  });

  it('takes the title from <title>, else from the first <h1>', () => {
    expect(parseHtml('<title> A &lt; \n B </title><h1>H</h1>').title).toBe('A < B');
    expect(parseHtml('<h2>Two</h2><h1>One</h1>').title).toBe('One');
    expect(parseHtml('<svg><title>no</title></svg><p>x</p>').title).toBeNull();
  });

  it('survives markup that is not closed', () => {
    expect(blocks('<h1>Title<p>text<ul><li>one<li>two<table><tr><td>a<td>b')).toEqual([
      ['heading', 'Title'],
      ['paragraph', 'text'],
      ['list', '- one\n- two'],
      ['table', 'a | b'],
    ]);
  });

  it('replaces character references to NUL and half surrogates', () => {
    const text = parseHtml('<p>a&#0;b&#xD800;c&#27;d</p>').pages[0]?.text ?? '';
    expect(text.isWellFormed()).toBe(true);
    expect(text).toMatch(/^a.b.c.d$/);
    expect(text).not.toContain('\0');
  });

  it('refuses nesting without end, and reads what browsers would still show', () => {
    expect(blocks(`${'<div>'.repeat(4_000)}deep`)).toEqual([['paragraph', 'deep']]);
    expect(() => parseHtml('<div>'.repeat(100_000))).toThrow(
      expect.objectContaining({ code: 'unreadable_document' }),
    );
  });

  it.each([
    ['a line of 4 MB', 'word '.repeat(800_000)],
    ['opened tags', '<'.repeat(500_000)],
    ['unknown references', '&x'.repeat(500_000)],
    ['a tag of 1 MB', `<p ${'a=b '.repeat(250_000)}>x`],
    ['unclosed cells', `<table>${'<td>x'.repeat(50_000)}`],
    ['unclosed items', `<ul>${'<li>x'.repeat(50_000)}`],
  ])('reads %s', (_what, html) => {
    expect(() => parseHtml(html)).not.toThrow();
  });
});
