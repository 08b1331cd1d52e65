-- The ledger by month. A request's id begins with the time at which it was made, so the id alone says in which
-- partition a row is, and stays unique over all of them.

-- The first id that can be made at a time: 'req_' and the milliseconds since 1970 as 10 digits to the base of 32.
CREATE FUNCTION bulkhead.first_request_id(at timestamptz) RETURNS text
  LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
  AS $$
DECLARE
  rest bigint := floor(extract(epoch FROM at) * 1000)::bigint;
  digits text := '';
BEGIN
  FOR i IN 1..10 LOOP
    digits := substr('0123456789abcdefghjkmnpqrstvwxyz', (rest % 32)::integer + 1, 1) || digits;
    rest := rest / 32;
  END LOOP;
  RETURN 'req_' || digits;
END
$$;

-- The owner reads all rows to move them: forced row-level security would hide them.
ALTER TABLE bulkhead.usage_records NO FORCE ROW LEVEL SECURITY;
ALTER TABLE bulkhead.usage_records RENAME TO usage_records_before;
ALTER TABLE bulkhead.usage_records_before RENAME CONSTRAINT usage_records_pkey TO usage_records_before_pkey;
ALTER INDEX bulkhead.usage_records_of_user RENAME TO usage_records_before_of_user;
ALTER INDEX bulkhead.usage_records_by_time RENAME TO usage_records_before_by_time;

CREATE TABLE bulkhead.usage_records (
  request_id text COLLATE "C" PRIMARY KEY,
  tenant_id text NOT NULL REFERENCES bulkhead.tenants ON DELETE CASCADE,
  user_id text NOT NULL,
  key_id text,
  route text NOT NULL,
  model text,
  prompt_tokens bigint NOT NULL DEFAULT 0,
  completion_tokens bigint NOT NULL DEFAULT 0,
  -- Exact to the billionth of a dollar.
  cost_usd numeric(18, 9) NOT NULL DEFAULT 0,
  -- The price that it was computed by; NULL: that of the settings.
  price_version bigint,
  -- Passages that were given to the engine, and how long finding them took; NULL without retrieval.
  retrieval_chunks integer,
  retrieval_ms double precision,
  latency_ms double precision NOT NULL,
  status integer NOT NULL,
  -- `ok`, `refused`, `error` or `aborted`.
  outcome text NOT NULL CHECK (outcome IN ('ok', 'refused', 'error', 'aborted')),
  refusal_reason text,
  created_at timestamptz NOT NULL DEFAULT now()
) PARTITION BY RANGE (request_id);
CREATE INDEX usage_records_of_user ON bulkhead.usage_records (tenant_id, user_id, request_id DESC);
CREATE INDEX usage_records_by_time ON bulkhead.usage_records (tenant_id, created_at);

-- Ids of months that have no partition yet, or that are no times at all.
CREATE TABLE bulkhead.usage_records_other PARTITION OF bulkhead.usage_records DEFAULT;
ALTER TABLE bulkhead.usage_records_other ENABLE ROW LEVEL SECURITY;
ALTER TABLE bulkhead.usage_records_other FORCE ROW LEVEL SECURITY;

-- Makes the partition of a month (UTC), with the rows of that month that came before it. Nobody is granted a partition
-- itself: rows are reached through the ledger and its policies.
CREATE FUNCTION bulkhead.add_usage_month(month timestamptz) RETURNS boolean
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog
  AS $$
DECLARE
  first timestamptz := date_trunc('month', month AT TIME ZONE 'UTC') AT TIME ZONE 'UTC';
  next timestamptz := (date_trunc('month', month AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC';
  name text := 'usage_records_' || to_char(first AT TIME ZONE 'UTC', 'YYYY_MM');
BEGIN
  PERFORM pg_advisory_xact_lock(4210816);
  IF to_regclass('bulkhead.' || name) IS NOT NULL THEN RETURN false; END IF;
  ALTER TABLE bulkhead.usage_records_other NO FORCE ROW LEVEL SECURITY;
  EXECUTE format('CREATE TABLE bulkhead.%I (LIKE bulkhead.usage_records INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', name);
  EXECUTE format('WITH moved AS (DELETE FROM bulkhead.usage_records_other WHERE request_id >= $1 AND request_id < $2
                                 RETURNING *) INSERT INTO bulkhead.%I SELECT * FROM moved', name)
    USING bulkhead.first_request_id(first), bulkhead.first_request_id(next);
  EXECUTE format('ALTER TABLE bulkhead.usage_records ATTACH PARTITION bulkhead.%I FOR VALUES FROM (%L) TO (%L)',
                 name, bulkhead.first_request_id(first), bulkhead.first_request_id(next));
  EXECUTE format('ALTER TABLE bulkhead.%I ENABLE ROW LEVEL SECURITY', name);
  EXECUTE format('ALTER TABLE bulkhead.%I FORCE ROW LEVEL SECURITY', name);
  ALTER TABLE bulkhead.usage_records_other FORCE ROW LEVEL SECURITY;
  RETURN true;
END
$$;

-- Removes months before a time that hold no row any more; how many.
CREATE FUNCTION bulkhead.drop_empty_usage_months(before timestamptz) RETURNS integer
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog
  AS $$
DECLARE
  name text;
  is_empty boolean;
  dropped integer := 0;
BEGIN
  PERFORM pg_advisory_xact_lock(4210816);
  FOR name IN
    SELECT c.relname FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid
     WHERE i.inhparent = 'bulkhead.usage_records'::regclass AND c.relname ~ '^usage_records_\d{4}_\d{2}$'
       AND c.relname < 'usage_records_' || to_char(before AT TIME ZONE 'UTC', 'YYYY_MM')
  LOOP
    -- Nothing can come in meanwhile.
    EXECUTE format('LOCK TABLE bulkhead.%I IN SHARE MODE', name);
    EXECUTE format('ALTER TABLE bulkhead.%I NO FORCE ROW LEVEL SECURITY', name);
    EXECUTE format('SELECT NOT EXISTS (SELECT 1 FROM bulkhead.%I)', name) INTO is_empty;
    IF is_empty THEN
      EXECUTE format('DROP TABLE bulkhead.%I', name);
      dropped := dropped + 1;
    ELSE
      EXECUTE format('ALTER TABLE bulkhead.%I FORCE ROW LEVEL SECURITY', name);
    END IF;
  END LOOP;
  RETURN dropped;
END
$$;

REVOKE ALL ON FUNCTION bulkhead.add_usage_month(timestamptz), bulkhead.drop_empty_usage_months(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION bulkhead.add_usage_month(timestamptz), bulkhead.drop_empty_usage_months(timestamptz)
  TO bulkhead_system;

INSERT INTO bulkhead.usage_records (request_id, tenant_id, user_id, key_id, route, model, prompt_tokens,
       completion_tokens, cost_usd, latency_ms, status, outcome, refusal_reason, created_at)
SELECT request_id, tenant_id, user_id, key_id, route, model, prompt_tokens, completion_tokens, cost_usd, latency_ms,
       status, outcome, refusal_reason, created_at
  FROM bulkhead.usage_records_before;
DROP TABLE bulkhead.usage_records_before;

-- A partition for each month since the first row, at most ten years of them, and two ahead.
DO $$
DECLARE
  first timestamptz;
  month timestamptz;
BEGIN
  SELECT greatest(coalesce(date_trunc('month', min(created_at)), now()), now() - interval '10 years') INTO first
    FROM bulkhead.usage_records;
  FOR month IN SELECT generate_series(first, now() + interval '2 months', interval '1 month') LOOP
    PERFORM bulkhead.add_usage_month(month);
  END LOOP;
END
$$;

-- What the ledger adds up to, by hour; written with the rows, in the same transaction.
CREATE TABLE bulkhead.usage_hours (
  tenant_id text NOT NULL REFERENCES bulkhead.tenants ON DELETE CASCADE,
  hour timestamptz NOT NULL,
  user_id text NOT NULL,
  route text NOT NULL,
  -- '': none.
  model text NOT NULL,
  requests bigint NOT NULL,
  refused bigint NOT NULL,
  errors bigint NOT NULL,
  aborted bigint NOT NULL,
  prompt_tokens bigint NOT NULL,
  completion_tokens bigint NOT NULL,
  cost_usd numeric(24, 9) NOT NULL,
  PRIMARY KEY (tenant_id, hour, user_id, route, model)
);
-- What a tenant has spent in a month (UTC): budgets read it. It names no user, and outlives the rows.
CREATE TABLE bulkhead.usage_months (
  tenant_id text NOT NULL REFERENCES bulkhead.tenants ON DELETE CASCADE,
  month date NOT NULL,
  requests bigint NOT NULL,
  cost_usd numeric(24, 9) NOT NULL,
  PRIMARY KEY (tenant_id, month)
);

INSERT INTO bulkhead.usage_hours
SELECT tenant_id, date_trunc('hour', created_at AT TIME ZONE 'UTC') AT TIME ZONE 'UTC', user_id, route, coalesce(model, ''),
       count(*), count(*) FILTER (WHERE outcome = 'refused'), count(*) FILTER (WHERE outcome = 'error'),
       count(*) FILTER (WHERE outcome = 'aborted'), sum(prompt_tokens), sum(completion_tokens), sum(cost_usd)
  FROM bulkhead.usage_records GROUP BY 1, 2, 3, 4, 5;
INSERT INTO bulkhead.usage_months
SELECT tenant_id, date_trunc('month', created_at AT TIME ZONE 'UTC')::date, count(*), sum(cost_usd)
  FROM bulkhead.usage_records GROUP BY 1, 2;

-- Prices of a model, or of every other one ('*'), in billionths of a dollar for a million tokens. Never changed: a
-- later one takes its place from its time on.
CREATE TABLE bulkhead.prices (
  version bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  model text NOT NULL,
  effective_from timestamptz NOT NULL,
  prompt_nanos_per_million bigint NOT NULL CHECK (prompt_nanos_per_million >= 0),
  completion_nanos_per_million bigint NOT NULL CHECK (completion_nanos_per_million >= 0),
  author text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (model, effective_from)
);

DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['usage_records', 'usage_hours', 'usage_months', 'prices'] LOOP
    EXECUTE format('ALTER TABLE bulkhead.%I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE bulkhead.%I FORCE ROW LEVEL SECURITY', name);
  END LOOP;
END
$$;

GRANT SELECT ON bulkhead.usage_records, bulkhead.usage_hours TO bulkhead_app;
GRANT SELECT, DELETE ON bulkhead.usage_records, bulkhead.usage_hours TO bulkhead_tenant;
GRANT SELECT ON bulkhead.usage_months TO bulkhead_tenant;
GRANT SELECT, INSERT ON bulkhead.usage_records, bulkhead.prices TO bulkhead_system;
GRANT SELECT, INSERT, UPDATE ON bulkhead.usage_hours, bulkhead.usage_months TO bulkhead_system;

DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['usage_records', 'usage_hours'] LOOP
    EXECUTE format('CREATE POLICY user_sees ON bulkhead.%I FOR SELECT TO bulkhead_app
      USING (tenant_id = bulkhead.current_tenant() AND user_id = bulkhead.current_user_id())', name);
    EXECUTE format('CREATE POLICY tenant_expires ON bulkhead.%I FOR DELETE TO bulkhead_tenant
      USING (tenant_id = bulkhead.current_tenant())', name);
  END LOOP;
  FOREACH name IN ARRAY ARRAY['usage_records', 'usage_hours', 'usage_months'] LOOP
    EXECUTE format('CREATE POLICY tenant_sees ON bulkhead.%I FOR SELECT TO bulkhead_tenant
      USING (tenant_id = bulkhead.current_tenant())', name);
  END LOOP;
  FOREACH name IN ARRAY ARRAY['usage_records', 'usage_hours', 'usage_months', 'prices'] LOOP
    EXECUTE format('CREATE POLICY system_manages ON bulkhead.%I FOR ALL TO bulkhead_system
      USING (true) WITH CHECK (true)', name);
  END LOOP;
END
$$;
