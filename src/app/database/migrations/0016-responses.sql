-- Responses of `/v1/responses`, kept so that later requests can refer to them. They go after a while, whatever refers to them.
CREATE TABLE bulkhead.responses (
  tenant_id text NOT NULL REFERENCES bulkhead.tenants ON DELETE CASCADE,
  -- Sorts by the time that the request began: retention needs no other index.
  response_id text COLLATE "C" NOT NULL,
  user_id text NOT NULL,
  -- No foreign key: what it names may go before it does.
  previous_response_id text COLLATE "C",
  -- How many responses its conversation has, with itself.
  depth integer NOT NULL,
  model text NOT NULL,
  -- The request's own items, after the input guardrails; what it referred to is in here as a reference.
  input jsonb NOT NULL,
  -- As it was sent, after the output guardrails.
  output jsonb NOT NULL,
  -- The other fields of the object, in their order.
  response json NOT NULL,
  -- Of the row; of its output as a later prompt has it; and of such a prompt with all that came before.
  byte_size bigint NOT NULL,
  output_bytes bigint NOT NULL,
  context_bytes bigint NOT NULL,
  -- The collections that the answer may rest on. NULL: any.
  collections text[],
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, response_id)
);
CREATE INDEX responses_of_user ON bulkhead.responses (tenant_id, user_id, response_id) INCLUDE (byte_size);

ALTER TABLE bulkhead.responses ENABLE ROW LEVEL SECURITY;
ALTER TABLE bulkhead.responses FORCE ROW LEVEL SECURITY;

-- Nothing of a response ever changes.
GRANT SELECT, INSERT, DELETE ON bulkhead.responses TO bulkhead_app;
GRANT SELECT, DELETE ON bulkhead.responses TO bulkhead_tenant;

CREATE POLICY user_owns ON bulkhead.responses FOR ALL TO bulkhead_app
  USING (tenant_id = bulkhead.current_tenant() AND user_id = bulkhead.current_user_id())
  WITH CHECK (tenant_id = bulkhead.current_tenant() AND user_id = bulkhead.current_user_id());
CREATE POLICY tenant_sees ON bulkhead.responses FOR SELECT TO bulkhead_tenant
  USING (tenant_id = bulkhead.current_tenant());
CREATE POLICY tenant_expires ON bulkhead.responses FOR DELETE TO bulkhead_tenant
  USING (tenant_id = bulkhead.current_tenant());
-- As of conversations: what an unlimited credential was answered may quote anything.
CREATE POLICY within_collections ON bulkhead.responses AS RESTRICTIVE FOR ALL TO bulkhead_app, bulkhead_tenant
  USING (bulkhead.current_collections() IS NULL OR collections <@ bulkhead.current_collections())
  WITH CHECK (bulkhead.current_collections() IS NULL OR collections <@ bulkhead.current_collections());
