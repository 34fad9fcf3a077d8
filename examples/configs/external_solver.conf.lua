-- A solver of your own, proven and used by gates 2 and 3: any program that reads and writes what examples/solvers/roster_glpk.py does.
--   gate-engine run gates/determinism_proof.lua --config examples/configs/external_solver.conf.lua
--   gate-engine run gates/golden_path_e2e.lua --config examples/configs/external_solver.conf.lua
-- It is started without a shell, with a clean environment and these limits; argv[1] is looked for beside this file.
return {
  solver = { kind = "command", argv = { "../solvers/roster_glpk.py" }, wall_s = 60, memory_mb = 1024 },
}
