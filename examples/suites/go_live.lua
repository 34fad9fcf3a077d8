-- The four onboarding gates, and two of the platform's own beside them: all must pass.
--
--   gate-engine run examples/suites/go_live.lua --tenant acme --report junit=report.xml
--
-- A suite is data. Gates are named by id (the installed ones) or by path (beside this file). Only the installed tree approves: with
-- gates of its own a suite can hold a tenant back, and its pass is no approval.
return require("suite").define {
  api = 1,
  id = "go_live",
  name = "Go-live of our platform",
  gates = {
    "rls_harness", "determinism_proof", "golden_path_e2e", "integrations_contract",
    "../gates/tenant_contact.lua", "../gates/price_list.lua",
  },
}
