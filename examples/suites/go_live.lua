-- The four onboarding gates, and two of the platform's own beside them: all must pass.
--
--   gate-engine run examples/suites/go_live.lua --tenant acme --report junit=report.xml
--
-- A suite is data. Gates are named by id (the installed ones) or by path (beside this file). Only what is installed approves, and gates of
-- its own that the configuration pins by the SHA-256 of their text: evidence = { scripts = { ["price_list.lua"] = "…" } }. The warning of a
-- run that would approve but for that says which.
return require("suite").define {
  api = 1,
  id = "go_live",
  name = "Go-live of our platform",
  gates = {
    "rls_harness", "determinism_proof", "golden_path_e2e", "integrations_contract",
    "../gates/tenant_contact.lua", "../gates/price_list.lua",
  },
}
