/** A reference to a component of the document. */
export const reference = (kind: 'schemas' | 'responses' | 'headers' | 'examples', name: string) => ({
  $ref: `#/components/${kind}/${name}`,
});
