-- The artifact store in Amazon S3, or in what speaks its API, of a platform of your own:
--
--   gate-engine run integrations_contract --tenant acme --only artifact_store --config examples/configs/s3.conf.lua
--
-- with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment; AWS_SESSION_TOKEN with temporary ones; AWS_REGION (us-east-1); and
-- AWS_ENDPOINT_URL where it is not Amazon's, whose bucket then stands in the path (addressing = "virtual": in the host name).
return {
  platform = "external",
  database = {
    admin = { url = env "GATE_ADMIN_URL" },
    app = { url = env "DATABASE_URL" },
    tenant = { column = "tenant_id", setting = "app.current_tenant_id" },
  },
  artifacts = {
    kind = "s3",
    -- Each tenant has a bucket and credentials of its own: those of acme must not reach the bucket of globex. One bucket and one key for
    -- all: bucket = "artifacts", prefix = "{tenant}/" for keys that end at the prefix, neither where the key reaches everything.
    bucket = "gate-{tenant}",
    other_tenant = "globex",
  },
}
