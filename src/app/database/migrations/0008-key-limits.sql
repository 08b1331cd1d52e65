-- What a key is limited to, and its previous secret while a rotation lets it live on.
ALTER TABLE bulkhead.api_keys
  -- NULL: every model that the tenant may use.
  ADD COLUMN models text[],
  -- CIDR ranges; NULL: from anywhere.
  ADD COLUMN ip_ranges text[],
  ADD COLUMN rotated_at timestamptz,
  ADD COLUMN previous_hmac text CHECK (previous_hmac ~ '^[0-9a-f]{64}$'),
  ADD COLUMN previous_until timestamptz,
  ADD CHECK ((previous_hmac IS NULL) = (previous_until IS NULL));
