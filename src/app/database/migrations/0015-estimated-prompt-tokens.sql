-- Of prompts that a model was given and did not count, because the client left first: in the cost, and in no other count.
ALTER TABLE bulkhead.usage_records ADD COLUMN estimated_prompt_tokens bigint NOT NULL DEFAULT 0;
ALTER TABLE bulkhead.usage_hours ADD COLUMN estimated_prompt_tokens bigint NOT NULL DEFAULT 0;
