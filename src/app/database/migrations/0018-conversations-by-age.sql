-- `retention_days` looks for what was not gone on with for so long.
CREATE INDEX conversations_by_age ON bulkhead.conversations (tenant_id, updated_at);
