-- bulkhead: expand, no transaction
-- Of each tenant and lane the smallest unfinished document, and the oldest: see `src/rag/ingest/lanes.ts`.
CREATE INDEX CONCURRENTLY IF NOT EXISTS documents_by_lane ON bulkhead.documents (
  tenant_id,
  (CASE WHEN status = 'deleting' OR byte_size <= 16384 THEN 0 WHEN byte_size <= 262144 THEN 1 WHEN byte_size <= 4194304 THEN 2 ELSE 3 END),
  byte_size,
  created_at
) WHERE status IN ('pending', 'indexing', 'deleting');
CREATE INDEX CONCURRENTLY IF NOT EXISTS documents_by_lane_and_age ON bulkhead.documents (
  tenant_id,
  (CASE WHEN status = 'deleting' OR byte_size <= 16384 THEN 0 WHEN byte_size <= 262144 THEN 1 WHEN byte_size <= 4194304 THEN 2 ELSE 3 END),
  created_at
) WHERE status IN ('pending', 'indexing', 'deleting');
