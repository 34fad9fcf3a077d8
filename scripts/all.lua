-- The full onboarding validation: every new tenant must pass all four gates before going live.
return require("suite").define {
  api = 1,
  id = "all",
  name = "Tenant Onboarding Validation",
  gates = { "rls_harness", "determinism_proof", "golden_path_e2e", "integrations_contract" },
}
