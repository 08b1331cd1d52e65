import { describe, expect, it } from 'vitest';
import { printable } from '#cli/cli-io.ts';
import { describePlace } from '#cli/output/describe-place.ts';
import { createProgressLine, renderBar } from '#cli/output/progress-line.ts';
import { renderTable } from '#cli/output/table.ts';
import { createTestIo } from '#test/support/test-io.ts';

describe('printable', () => {
  it('leaves no control character that could drive a terminal or hide text', () => {
    expect(printable('a\u001b[2Jb\u009b31mc\u0007\rd\u202ee\tf\ng')).toBe('a[2Jb31mcde\tf\ng');
  });
});

describe('renderTable', () => {
  it('aligns text left and numbers right, on one line a row', () => {
    expect(
      renderTable(
        ['name', 'n'],
        [
          ['a', 5],
          ['long\nname', 1200],
        ],
      ),
    ).toBe('name          n\na             5\nlong name  1200');
  });
});

describe('the progress bar', () => {
  it('is as wide as the terminal allows', () => {
    expect(renderBar({ done: 1, total: 2, text: 'half' }, 80)).toBe(
      `${'█'.repeat(12)}${'░'.repeat(12)}  50%  half`,
    );
    expect(renderBar({ done: 0, total: 0, text: 'x'.repeat(200) }, 40)).toHaveLength(39);
  });

  it('is drawn on a terminal alone; lines that stay are written anywhere', () => {
    for (const tty of [true, false]) {
      const io = createTestIo({ tty });
      const progress = createProgressLine(io.stderr);
      progress.update({ done: 1, total: 2, text: 'half' });
      progress.log('ready');
      progress.end();
      expect(io.err().includes('50%')).toBe(tty);
      expect(io.err()).toContain('ready\n');
    }
  });
});

describe('describePlace', () => {
  it('names title, headings and page; a heading that repeats the title is left out', () => {
    expect(describePlace({ title: 'Hooks', heading_path: ['Hooks', 'onRequest'], page: 3 })).toBe(
      'Hooks › onRequest, page 3',
    );
    expect(describePlace({ title: 'Notes', heading_path: [], page: null })).toBe('Notes');
  });
});
