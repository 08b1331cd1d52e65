-- Who belongs to a tenant, beside what credentials say. Somebody who was removed keeps a row: it is what refuses them.
CREATE TABLE bulkhead.members (
  tenant_id text NOT NULL REFERENCES bulkhead.tenants ON DELETE CASCADE,
  user_id text NOT NULL,
  role text NOT NULL CHECK (role IN ('admin', 'member')),
  status text NOT NULL CHECK (status IN ('active', 'removed')),
  invited_by text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, user_id)
);

CREATE TABLE bulkhead.invitations (
  tenant_id text NOT NULL REFERENCES bulkhead.tenants ON DELETE CASCADE,
  invitation_id text NOT NULL,
  -- HMAC-SHA256 of the secret, hex.
  secret_hmac text NOT NULL CHECK (secret_hmac ~ '^[0-9a-f]{64}$'),
  role text NOT NULL CHECK (role IN ('admin', 'member')),
  -- NULL: whoever accepts says by a credential who that is.
  user_id text,
  email text,
  invited_by text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  accepted_at timestamptz,
  accepted_by text,
  revoked_at timestamptz,
  PRIMARY KEY (tenant_id, invitation_id),
  CHECK ((accepted_at IS NULL) = (accepted_by IS NULL))
);

-- Counts changes of members: what is remembered of one holds as long as this stays. 0: there never was one.
ALTER TABLE bulkhead.tenants ADD COLUMN members_version integer NOT NULL DEFAULT 0;

ALTER TABLE bulkhead.members ENABLE ROW LEVEL SECURITY;
ALTER TABLE bulkhead.members FORCE ROW LEVEL SECURITY;
ALTER TABLE bulkhead.invitations ENABLE ROW LEVEL SECURITY;
ALTER TABLE bulkhead.invitations FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE ON bulkhead.members, bulkhead.invitations TO bulkhead_system;
GRANT SELECT ON bulkhead.members TO bulkhead_tenant;
CREATE POLICY system_manages ON bulkhead.members FOR ALL TO bulkhead_system USING (true) WITH CHECK (true);
CREATE POLICY system_manages ON bulkhead.invitations FOR ALL TO bulkhead_system USING (true) WITH CHECK (true);
CREATE POLICY tenant_sees ON bulkhead.members FOR SELECT TO bulkhead_tenant
  USING (tenant_id = bulkhead.current_tenant());

-- Routers hear at once of what they keep in memory, as `<kind>:<id>`. It tells that something changed, never what.
CREATE FUNCTION bulkhead.announce_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  changed jsonb := CASE WHEN TG_OP = 'DELETE' THEN to_jsonb(OLD) ELSE to_jsonb(NEW) END;
BEGIN
  PERFORM pg_notify('bulkhead_changes', TG_ARGV[0] || ':' || (changed ->> TG_ARGV[1]));
  RETURN NULL;
END
$$;
CREATE TRIGGER tenant_changes AFTER INSERT OR UPDATE OR DELETE ON bulkhead.tenants
  FOR EACH ROW EXECUTE FUNCTION bulkhead.announce_change('tenant', 'tenant_id');
CREATE TRIGGER erasure_begins AFTER INSERT ON bulkhead.tenant_erasures
  FOR EACH ROW EXECUTE FUNCTION bulkhead.announce_change('tenant', 'tenant_id');
-- Not of last_used_at, which changes all the time and decides nothing.
CREATE TRIGGER key_changes
  AFTER UPDATE OF role, scopes, models, ip_ranges, secret_hmac, previous_hmac, previous_until, expires_at, revoked_at
  ON bulkhead.api_keys
  FOR EACH ROW EXECUTE FUNCTION bulkhead.announce_change('key', 'key_id');
