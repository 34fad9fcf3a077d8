-- The artifact store in Azure Blob Storage of a platform of your own:
--
--   gate-engine run integrations_contract --tenant acme --only artifact_store --config examples/configs/azure.conf.lua
--
-- with AZURE_STORAGE_ACCOUNT in the environment, and AZURE_STORAGE_SAS_TOKEN or AZURE_STORAGE_KEY.
return {
  platform = "external",
  database = {
    admin = { url = env "GATE_ADMIN_URL" },
    app = { url = env "DATABASE_URL" },
    tenant = { column = "tenant_id", setting = "app.current_tenant_id" },
  },
  artifacts = {
    kind = "azure",
    -- Each tenant has a container and a shared access signature for it: that of acme must not reach the container of globex. An account's
    -- key reaches all of them; with it leave {tenant} and other_tenant out.
    container = "{tenant}",
    other_tenant = "globex",
  },
}
