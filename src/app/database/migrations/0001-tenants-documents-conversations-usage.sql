-- Three roles, none of which owns a table or bypasses row-level security. Every transaction runs as one of
-- them. Roles belong to the whole server, so another database on it may have made them already.
DO $$
DECLARE
  wanted text;
BEGIN
  FOREACH wanted IN ARRAY ARRAY['bulkhead_app', 'bulkhead_tenant', 'bulkhead_system'] LOOP
    BEGIN
      EXECUTE format('CREATE ROLE %I NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE', wanted);
    EXCEPTION
      WHEN duplicate_object OR unique_violation THEN NULL;
    END;
    -- The login may act as the role; a superuser may already.
    IF NOT pg_has_role(current_user, wanted, 'MEMBER') THEN
      EXECUTE format('GRANT %I TO %I', wanted, current_user);
    END IF;
  END LOOP;
END
$$;

GRANT USAGE ON SCHEMA bulkhead TO bulkhead_app, bulkhead_tenant, bulkhead_system;

-- NULL when the transaction has no tenant or user: then every comparison below is NULL, and no row exists.
CREATE FUNCTION bulkhead.current_tenant() RETURNS text
  LANGUAGE sql STABLE PARALLEL SAFE
  AS $$ SELECT nullif(current_setting('bulkhead.tenant_id', true), '') $$;

CREATE FUNCTION bulkhead.current_user_id() RETURNS text
  LANGUAGE sql STABLE PARALLEL SAFE
  AS $$ SELECT nullif(current_setting('bulkhead.user_id', true), '') $$;

CREATE TABLE bulkhead.tenants (
  tenant_id text PRIMARY KEY CHECK (tenant_id ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
  config jsonb NOT NULL,
  config_version integer NOT NULL DEFAULT 1 CHECK (config_version > 0),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CHECK (config ->> 'tenant_id' = tenant_id)
);

CREATE TABLE bulkhead.tenant_config_versions (
  tenant_id text NOT NULL REFERENCES bulkhead.tenants ON DELETE CASCADE,
  config_version integer NOT NULL,
  config jsonb NOT NULL,
  author text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, config_version)
);

CREATE TABLE bulkhead.api_keys (
  key_id text PRIMARY KEY,
  -- NULL: an operator's key.
  tenant_id text REFERENCES bulkhead.tenants ON DELETE CASCADE,
  user_id text,
  role text NOT NULL CHECK (role IN ('operator', 'admin', 'member', 'service')),
  scopes text[] NOT NULL,
  name text NOT NULL,
  -- HMAC-SHA256 of the secret, hex. The secret itself is stored nowhere.
  secret_hmac text NOT NULL CHECK (secret_hmac ~ '^[0-9a-f]{64}$'),
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz,
  revoked_at timestamptz,
  last_used_at timestamptz,
  CHECK ((role = 'operator') = (tenant_id IS NULL)),
  CHECK ((tenant_id IS NULL) = (user_id IS NULL))
);
CREATE INDEX api_keys_by_tenant ON bulkhead.api_keys (tenant_id, key_id);

CREATE TABLE bulkhead.documents (
  tenant_id text NOT NULL REFERENCES bulkhead.tenants ON DELETE CASCADE,
  document_id text NOT NULL,
  -- The owner.
  user_id text NOT NULL,
  visibility text NOT NULL CHECK (visibility IN ('private', 'tenant')),
  title text NOT NULL,
  filename text NOT NULL,
  media_type text NOT NULL,
  byte_size bigint NOT NULL CHECK (byte_size >= 0),
  -- SHA-256 of the original file, hex.
  content_hash text NOT NULL,
  -- The content and the index format that the index holds; NULL: nothing yet.
  indexed_hash text,
  -- `deleting` is seen by nobody: what is left of the document is removed before the row is.
  status text NOT NULL CHECK (status IN ('pending', 'indexing', 'ready', 'failed', 'deleting')),
  progress_done integer,
  progress_total integer,
  error_code text,
  error_message text,
  chunk_count integer NOT NULL DEFAULT 0,
  page_count integer,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, document_id)
);
CREATE INDEX documents_unfinished ON bulkhead.documents (tenant_id, created_at)
  WHERE status IN ('pending', 'indexing', 'deleting');

CREATE TABLE bulkhead.conversations (
  tenant_id text NOT NULL REFERENCES bulkhead.tenants ON DELETE CASCADE,
  conversation_id text NOT NULL,
  user_id text NOT NULL,
  title text NOT NULL,
  message_count integer NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, conversation_id)
);
CREATE INDEX conversations_of_user ON bulkhead.conversations (tenant_id, user_id, conversation_id DESC);

CREATE TABLE bulkhead.messages (
  tenant_id text NOT NULL,
  conversation_id text NOT NULL,
  message_id text NOT NULL,
  user_id text NOT NULL,
  ordinal integer NOT NULL,
  role text NOT NULL CHECK (role IN ('user', 'assistant')),
  content text NOT NULL,
  citations jsonb NOT NULL DEFAULT '[]',
  request_id text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, conversation_id, ordinal),
  FOREIGN KEY (tenant_id, conversation_id) REFERENCES bulkhead.conversations ON DELETE CASCADE
);

CREATE TABLE bulkhead.usage_records (
  request_id text PRIMARY KEY,
  tenant_id text NOT NULL REFERENCES bulkhead.tenants ON DELETE CASCADE,
  user_id text NOT NULL,
  key_id text,
  route text NOT NULL,
  model text,
  prompt_tokens bigint NOT NULL DEFAULT 0,
  completion_tokens bigint NOT NULL DEFAULT 0,
  cost_usd numeric(18, 9) NOT NULL DEFAULT 0,
  latency_ms double precision NOT NULL,
  status integer NOT NULL,
  -- `ok`, `refused`, `error` or `aborted`.
  outcome text NOT NULL CHECK (outcome IN ('ok', 'refused', 'error', 'aborted')),
  refusal_reason text,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX usage_records_of_user ON bulkhead.usage_records (tenant_id, user_id, request_id DESC);
CREATE INDEX usage_records_by_time ON bulkhead.usage_records (tenant_id, created_at);

-- Row-level security, forced on the owner as well.
DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['tenants', 'tenant_config_versions', 'api_keys', 'documents', 'conversations',
                              'messages', 'usage_records'] LOOP
    EXECUTE format('ALTER TABLE bulkhead.%I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE bulkhead.%I FORCE ROW LEVEL SECURITY', name);
  END LOOP;
END
$$;

-- bulkhead_app: one user of one tenant.
GRANT SELECT, INSERT, UPDATE, DELETE ON bulkhead.documents, bulkhead.conversations, bulkhead.messages TO bulkhead_app;
GRANT SELECT ON bulkhead.usage_records TO bulkhead_app;

CREATE POLICY user_sees ON bulkhead.documents FOR SELECT TO bulkhead_app
  USING (tenant_id = bulkhead.current_tenant()
         AND (user_id = bulkhead.current_user_id() OR visibility = 'tenant'));
CREATE POLICY user_adds ON bulkhead.documents FOR INSERT TO bulkhead_app
  WITH CHECK (tenant_id = bulkhead.current_tenant() AND user_id = bulkhead.current_user_id());
CREATE POLICY user_changes ON bulkhead.documents FOR UPDATE TO bulkhead_app
  USING (tenant_id = bulkhead.current_tenant() AND user_id = bulkhead.current_user_id())
  WITH CHECK (tenant_id = bulkhead.current_tenant() AND user_id = bulkhead.current_user_id());
CREATE POLICY user_removes ON bulkhead.documents FOR DELETE TO bulkhead_app
  USING (tenant_id = bulkhead.current_tenant() AND user_id = bulkhead.current_user_id());

CREATE POLICY user_owns ON bulkhead.conversations FOR ALL TO bulkhead_app
  USING (tenant_id = bulkhead.current_tenant() AND user_id = bulkhead.current_user_id())
  WITH CHECK (tenant_id = bulkhead.current_tenant() AND user_id = bulkhead.current_user_id());
CREATE POLICY user_owns ON bulkhead.messages FOR ALL TO bulkhead_app
  USING (tenant_id = bulkhead.current_tenant() AND user_id = bulkhead.current_user_id())
  WITH CHECK (tenant_id = bulkhead.current_tenant() AND user_id = bulkhead.current_user_id());
CREATE POLICY user_sees ON bulkhead.usage_records FOR SELECT TO bulkhead_app
  USING (tenant_id = bulkhead.current_tenant() AND user_id = bulkhead.current_user_id());

-- bulkhead_tenant: every user of one tenant.
GRANT SELECT, INSERT, UPDATE, DELETE ON bulkhead.documents, bulkhead.conversations, bulkhead.messages TO bulkhead_tenant;
GRANT SELECT ON bulkhead.usage_records TO bulkhead_tenant;

CREATE POLICY tenant_owns ON bulkhead.documents FOR ALL TO bulkhead_tenant
  USING (tenant_id = bulkhead.current_tenant()) WITH CHECK (tenant_id = bulkhead.current_tenant());
CREATE POLICY tenant_owns ON bulkhead.conversations FOR ALL TO bulkhead_tenant
  USING (tenant_id = bulkhead.current_tenant()) WITH CHECK (tenant_id = bulkhead.current_tenant());
CREATE POLICY tenant_owns ON bulkhead.messages FOR ALL TO bulkhead_tenant
  USING (tenant_id = bulkhead.current_tenant()) WITH CHECK (tenant_id = bulkhead.current_tenant());
CREATE POLICY tenant_sees ON bulkhead.usage_records FOR SELECT TO bulkhead_tenant
  USING (tenant_id = bulkhead.current_tenant());

-- bulkhead_system: what must be read before a tenant is known. No content.
GRANT SELECT, INSERT, UPDATE, DELETE ON bulkhead.tenants TO bulkhead_system;
GRANT SELECT, INSERT ON bulkhead.tenant_config_versions TO bulkhead_system;
GRANT SELECT, INSERT, UPDATE ON bulkhead.api_keys TO bulkhead_system;
GRANT SELECT, INSERT ON bulkhead.usage_records TO bulkhead_system;

CREATE POLICY system_manages ON bulkhead.tenants FOR ALL TO bulkhead_system USING (true) WITH CHECK (true);
CREATE POLICY system_manages ON bulkhead.tenant_config_versions FOR ALL TO bulkhead_system
  USING (true) WITH CHECK (true);
CREATE POLICY system_manages ON bulkhead.api_keys FOR ALL TO bulkhead_system USING (true) WITH CHECK (true);
CREATE POLICY system_manages ON bulkhead.usage_records FOR ALL TO bulkhead_system USING (true) WITH CHECK (true);
