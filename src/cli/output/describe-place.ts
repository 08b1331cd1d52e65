type Place = { title: string; heading_path: readonly string[]; page: number | null };

/** Where a passage stands: `Hooks › onRequest, page 3`. A heading that repeats the title is left out. */
export function describePlace({ title, heading_path, page }: Place): string {
  const headings = heading_path.filter((heading, i) => !(i === 0 && heading === title));
  return `${[title, ...headings].join(' › ')}${page === null ? '' : `, page ${page}`}`;
}
