/** Sections of the OpenAPI document. */
export const TAGS = {
  chat: { tags: ['Chat'], security: [{ apiKey: [] }] },
  vault: { tags: ['Vault'], security: [{ apiKey: [] }] },
  conversations: { tags: ['Conversations'], security: [{ apiKey: [] }] },
  usage: { tags: ['Usage'], security: [{ apiKey: [] }] },
  admin: { tags: ['Administration'], security: [{ apiKey: [] }] },
  public: { tags: ['Service'], security: [] },
};
