-- A platform of your own: copy this to gate-engine.conf.lua in the directory you run gate-engine in, or name it with --config.
-- It is data. env "NAME" and file "PATH" bring in secrets, which no report, log or script ever shows.
return {
  platform = "external",
  database = {
    -- Reads the catalogue and writes canary rows; whatever it does is rolled back. A superuser can try most, a plain owner less.
    admin = { url = env "GATE_ADMIN_URL" },
    -- How the application connects: its own role, with its own password.
    app = { url = env "DATABASE_URL" },
    -- How the application says which tenant it works for.
    tenant = { column = "tenant_id", setting = "app.current_tenant_id" },
  },
  -- What the application's own test suite ran, for the check of its code paths; made with
  --   gate-engine run gates/rls_harness.lua --tenant CODE --record recording.jsonl -- COMMAND
  -- recording = "recording.jsonl",
  -- Where artifacts are kept. In S3, or in what speaks its API, with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY:
  --   artifacts = { kind = "s3", bucket = "artifacts", region = "eu-central-1" },   -- endpoint = "https://…": not Amazon's
  -- in Azure, with AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN: { kind = "azure", account = "acme", container = "artifacts" }.
  -- Where each tenant has credentials of its own, bucket or prefix names it ("{tenant}/"), and other_tenant one that must stay closed.
  artifacts = { kind = "local", path = "artifacts" },
}
