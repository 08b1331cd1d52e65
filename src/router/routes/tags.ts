const ANY_CREDENTIAL = [{ apiKey: [] }, { jwt: [] }];

/** Sections of the OpenAPI document. */
export const TAGS = {
  chat: { tags: ['Chat'], security: ANY_CREDENTIAL },
  vault: { tags: ['Vault'], security: ANY_CREDENTIAL },
  conversations: { tags: ['Conversations'], security: ANY_CREDENTIAL },
  usage: { tags: ['Usage'], security: ANY_CREDENTIAL },
  admin: { tags: ['Administration'], security: ANY_CREDENTIAL },
  operator: { tags: ['Administration'], security: [{ apiKey: [] }] },
  public: { tags: ['Service'], security: [] },
};
