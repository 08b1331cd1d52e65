-- Collections of documents, and keys that see some of them alone.
ALTER TABLE bulkhead.documents
  ADD COLUMN collection text NOT NULL DEFAULT 'default' CHECK (collection ~ '^[a-z0-9][a-z0-9_-]{0,62}$');

-- NULL: every collection.
ALTER TABLE bulkhead.api_keys ADD COLUMN collections text[];

-- The collections that the answers of a conversation may rest on. NULL: any.
ALTER TABLE bulkhead.conversations ADD COLUMN collections text[];

-- NULL when the transaction's credential is limited to no collections.
CREATE FUNCTION bulkhead.current_collections() RETURNS text[]
  LANGUAGE sql STABLE PARALLEL SAFE
  AS $$ SELECT nullif(current_setting('bulkhead.collections', true), '')::text[] $$;

-- Restrictive: beside whatever the roles may see otherwise.
CREATE POLICY within_collections ON bulkhead.documents AS RESTRICTIVE FOR ALL TO bulkhead_app, bulkhead_tenant
  USING (bulkhead.current_collections() IS NULL OR collection = ANY (bulkhead.current_collections()))
  WITH CHECK (bulkhead.current_collections() IS NULL OR collection = ANY (bulkhead.current_collections()));

-- What an unlimited credential was answered may quote anything: a limited one sees what limited ones were answered.
CREATE POLICY within_collections ON bulkhead.conversations AS RESTRICTIVE FOR ALL TO bulkhead_app, bulkhead_tenant
  USING (bulkhead.current_collections() IS NULL OR collections <@ bulkhead.current_collections())
  WITH CHECK (bulkhead.current_collections() IS NULL OR collections <@ bulkhead.current_collections());
CREATE POLICY within_collections ON bulkhead.messages AS RESTRICTIVE FOR ALL TO bulkhead_app, bulkhead_tenant
  USING (bulkhead.current_collections() IS NULL OR EXISTS (
    SELECT 1 FROM bulkhead.conversations c
     WHERE c.tenant_id = messages.tenant_id AND c.conversation_id = messages.conversation_id))
  WITH CHECK (bulkhead.current_collections() IS NULL OR EXISTS (
    SELECT 1 FROM bulkhead.conversations c
     WHERE c.tenant_id = messages.tenant_id AND c.conversation_id = messages.conversation_id));
