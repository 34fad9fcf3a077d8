# gate-engine: build, test and install. `make run` and `make test` are all a newcomer needs.
#
# Sources are found by place: a file in engine/prim/ belongs to the module its name starts with (db_pipeline.c → db),
# a tests/c/test_*.c is a cmocka program, a *_spec.lua of tests/lua, tests/e2e or tests/rls a busted spec.

MAKEFLAGS += --no-builtin-rules --no-print-directory
BUILD  ?= build
PREFIX ?= /usr/local
CC     ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif
VERSION := 1.0.0
Q := $(if $(V),,@)
export BUILD

# What Debian 12 has to provide: to build and run, to test, and for what is beside that.
PACKAGES_RUN      := gcc libc6-dev liblua5.4-dev libseccomp-dev libjansson-dev libpq-dev libcurl4-openssl-dev libexpat1-dev libssl-dev libcjose-dev libpg-query-dev postgresql-15
PACKAGES_TEST     := lua5.4 lua-busted libcmocka-dev python3-jsonschema python3-yaml libxml2-utils procps libfaketime python3-html5lib cmark-gfm perl glpk-utils coinor-cbc locales python3-psycopg
PACKAGES_SERVICES := pgbouncer python3-psycopg python3-pytest openssl python3-aiosmtpd python3-icalendar \
                     swift-proxy swift-account swift-container swift-object memcached chromium
PACKAGES_LINT     := clang-format lua-check
PACKAGES_BENCH    := hyperfine lua5.4 postgresql-15-pgtap lua-cjson python3 coinor-cbc
PACKAGES_FUZZ     := clang libclang-rt-14-dev lua5.4 libmxml-dev

OPT      ?= -O2 -g
WARN     := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wformat=2 -Wno-format-nonliteral -Wvla
HARDEN   := -D_FORTIFY_SOURCE=2 -fstack-protector-strong
SANITIZE ?=
ifneq ($(SANITIZE),)
# What the compiler guesses about instrumented code is not reliable; the plain build warns.
HARDEN := -Wno-format-truncation -Wno-maybe-uninitialized
OPT := -O1 -g -fno-omit-frame-pointer -fsanitize=$(SANITIZE)
endif
CPPFLAGS += -Iengine -I$(BUILD) -D_GNU_SOURCE -DGE_VERSION='"$(VERSION)"' -I/usr/include/lua5.4 -I/usr/include/postgresql
CFLAGS   += -std=c17 $(OPT) $(WARN) $(HARDEN) -fPIC -fvisibility=hidden
LDFLAGS  += -Wl,-z,relro,-z,now $(if $(SANITIZE),-fsanitize=$(SANITIZE))
DEPFLAGS  = -MMD -MP

MODULES := db http hash json sql store exec task statement mail jose
# libcrypto calls functions of theirs (engine/prim/crypto.c) until the process ends, when plain Lua has closed its modules.
STAY       := -Wl,-z,nodelete
LIBS_db    := -lpq -lssl -lcrypto -ljansson
LIBS_http  := -lcurl -lexpat -lcrypto $(STAY) -ljansson
LIBS_hash  := -lcrypto $(STAY) -ljansson
LIBS_json  := -ljansson
LIBS_sql   := -lpg_query -ljansson
LIBS_store := -lcrypto $(STAY) -ljansson
LIBS_exec  := -ljansson
LIBS_task  := -ljansson
LIBS_mail  := -lcurl -lcrypto $(STAY) -ljansson
LIBS_statement := -lpg_query -ljansson
LIBS_jose  := -lcjose -lcrypto $(STAY) -ljansson

LUA_STATIC := -Wl,--whole-archive -l:liblua5.4.a -Wl,--no-whole-archive -Wl,-E -ldl -lm

objs = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))

BASE_SRC   := $(wildcard engine/base/*.c)
VM_SRC     := $(wildcard engine/vm/*.c)
RUN_SRC    := $(wildcard engine/run/*.c)
# Spellings of bytes alone: what signs is loaded when it is needed (engine/run/signing.c).
SIGN_SRC   := engine/prim/hash_text.c
PG_SRC     := $(wildcard engine/prim/pg*.c)
RING_SRC   := $(wildcard engine/prim/ring*.c)
GLUE_SRC   := $(wildcard engine/vm/luax*.c engine/vm/conv*.c)
AUDIT_SRC  := $(wildcard engine/audit/*.c)
ROSTER_SRC := $(wildcard engine/solvers/roster/*.c)
ROUTING_SRC := $(wildcard engine/solvers/routing/*.c)
SOLVER_SRC := $(wildcard engine/solvers/common/*.c)
RECORD_SRC := $(wildcard engine/recorder/*.c)
SHIM_SRC   := $(wildcard engine/shim/*.c)
WIRE_SRC   := $(wildcard engine/prim/pgwire.c engine/prim/statement.c engine/prim/statement_tokens.c engine/prim/statement_normal.c)
MAIN_SRC   := $(wildcard engine/main.c)

mod_src = $(wildcard engine/bind/$(1).c engine/bind/$(1)_*.c engine/prim/$(1).c engine/prim/$(1)_*.c)
HAVE_MODULES := $(foreach m,$(MODULES),$(if $(wildcard engine/bind/$(m).c),$(m)))
MODULE_SO := $(foreach m,$(HAVE_MODULES),$(BUILD)/modules/engine/$(m).so)

PROGRAMS := $(if $(MAIN_SRC),$(BUILD)/gate-engine) $(if $(AUDIT_SRC),$(BUILD)/gate-audit) \
            $(if $(ROSTER_SRC),$(BUILD)/roster-solver) $(if $(ROUTING_SRC),$(BUILD)/routing-solver) \
            $(if $(RECORD_SRC),$(BUILD)/gate-recorder) $(if $(SHIM_SRC),$(BUILD)/perturb.so)

TEST_SRC := $(wildcard tests/c/test_*.c)
TEST_BIN := $(patsubst tests/c/%.c,$(BUILD)/tests/%,$(TEST_SRC))

.PHONY: all build-tests run test test-services test-releases test-c test-lua test-e2e test-rls lint format bench install asan fault fuzz fuzz-run clean
.PHONY: deps deps-run deps-test deps-services deps-lint deps-bench deps-fuzz
.SECONDARY:
# These build by calling make again, which does run in parallel; two of them at once would build the same files twice.
ifneq ($(filter run test% asan fault fuzz% lint bench install deps%,$(MAKECMDGOALS)),)
.NOTPARALLEL:
endif

all: $(PROGRAMS) $(MODULE_SO) $(BUILD)/modules/testkit.so

# The hashes of every script as it was built: what approves a tenant must be one of these, or pinned in the configuration.
# The table is made anew at every build and replaced only when it differs, so that a removed file is noticed too.
HASHED = find $(wildcard stdlib gates scripts) -type f ! -name '.*' | LC_ALL=C sort
$(BUILD)/gen/builtin_hashes.h: FORCE
	@mkdir -p $(@D)
	@{ echo '/* Made by the build: SHA-256 (FIPS 180-4) of every file of stdlib/, gates/ and scripts/. */'; \
	   echo 'static const struct builtin_hash {'; echo '    const char *path;'; echo '    const char *sha256;'; \
	   echo '} BUILTIN_HASHES[] = {'; \
	   $(HASHED) | tr '\n' '\0' | xargs -0 -r sha256sum | sed -E 's/^([0-9a-f]{64})  (.*)$$/    {"\2", "\1"},/'; \
	   echo '};'; } >$@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@
.PHONY: FORCE
FORCE:

# Modules and programs are part of the engine as its own code is. Under a fuzzer's flags there is nothing to approve.
BUILTIN_PROGRAMS := $(if $(findstring fuzzer,$(SANITIZE)),,$(MODULE_SO) $(filter-out $(BUILD)/gate-engine,$(PROGRAMS)))
$(BUILD)/gen/builtin_programs.h: $(BUILTIN_PROGRAMS)
	@mkdir -p $(@D)
	@{ echo '/* Made by the build: SHA-256 (FIPS 180-4) of the modules and programs beside gate-engine. */'; \
	   echo 'static const struct {'; echo '    const char *path;'; echo '    const char *sha256;'; echo '} BUILTIN_PROGRAMS[] = {'; \
	   for f in $(BUILTIN_PROGRAMS:$(BUILD)/%=%); do (cd $(BUILD) && sha256sum "$$f"); done \
	     | sed -E 's/^([0-9a-f]{64})  (.*)$$/    {"\2", "\1"},/'; \
	   echo '    {0, 0}};'; } >$@.new
	@mv $@.new $@
$(BUILD)/obj/engine/run/loader.o: $(BUILD)/gen/builtin_programs.h

# The seccomp filters, from the allow lists.
$(BUILD)/gen/ring_filters.h: engine/prim/filters/filters.c engine/prim/ring_lists.h Makefile
	@mkdir -p $(@D)
	@echo '  GEN   $@'
	$(Q)$(CC) -Iengine -D_GNU_SOURCE -std=c17 -O1 $(WARN) -o $(BUILD)/gen/filters $< -lseccomp
	@$(BUILD)/gen/filters >$@.new && mv $@.new $@

$(BUILD)/obj/%.o: %.c Makefile | $(BUILD)/gen/builtin_hashes.h $(BUILD)/gen/ring_filters.h
	@mkdir -p $(@D)
	@echo '  CC    $<'
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(DEPFLAGS) -c $< -o $@

# Allocations go through engine/main.c.
NOTE_WRAP := -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=reallocarray,--wrap=strdup,--wrap=strndup \
  -Wl,--wrap=realpath,--wrap=__realpath_chk,--wrap=getcwd,--wrap=opendir,--wrap=fdopendir,--wrap=scandir,--wrap=glob \
  -Wl,--wrap=asprintf,--wrap=__asprintf_chk

$(BUILD)/gate-engine: $(call objs,$(MAIN_SRC) $(RUN_SRC) $(VM_SRC) $(PG_SRC) $(RING_SRC) $(SIGN_SRC) $(BASE_SRC))
	@echo '  LINK  $@'
	$(Q)$(CC) $(LDFLAGS) $(NOTE_WRAP) -o $@ $^ $(LUA_STATIC) -ljansson -Wl,--exclude-libs,libcrypto.a -l:libcrypto.a

# Static (a sanitizer cannot be), so that a start costs no dynamic linking; what engine/audit/deterministic.c replaces.
AUDIT_WRAP := -Wl,--wrap=luaS_hash,--wrap=luaT_gettm,--wrap=time,--wrap=clock
AUDIT_LINK := $(if $(SANITIZE),,-static-pie) $(AUDIT_WRAP)
AUDIT_OBJ  := $(call objs,$(AUDIT_SRC) $(filter-out engine/vm/sandbox_native.c,$(VM_SRC)) $(RING_SRC) $(BASE_SRC))

# What tenants' code runs in holds Lua and nothing that could reach out: no client library is linked.
$(BUILD)/gate-audit: $(AUDIT_OBJ)
	@echo '  LINK  $@'
	$(Q)$(CC) $(LDFLAGS) $(AUDIT_LINK) -o $@ $^ -l:liblua5.4.a -l:libjansson.a -lm

$(BUILD)/roster-solver: $(call objs,$(ROSTER_SRC) $(SOLVER_SRC) $(BASE_SRC))
$(BUILD)/routing-solver: $(call objs,$(ROUTING_SRC) $(SOLVER_SRC) $(BASE_SRC))
$(BUILD)/roster-solver $(BUILD)/routing-solver:
	@echo '  LINK  $@'
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -ljansson -lm

# What passes an application's bytes on holds no Lua and knows no credential.
$(BUILD)/gate-recorder: $(call objs,$(RECORD_SRC) $(WIRE_SRC) $(RING_SRC) $(BASE_SRC))
	@echo '  LINK  $@'
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -lssl -lcrypto -ljansson -lseccomp

# Preloaded into foreign programs, which bring no sanitizer's library with them.
$(BUILD)/perturb.so: $(SHIM_SRC) Makefile
	@mkdir -p $(@D)
	@echo '  LINK  $@'
	$(Q)$(CC) -D_GNU_SOURCE -std=c17 -O2 -g $(WARN) -fPIC -fvisibility=hidden -shared -Wl,-z,relro,-z,now -o $@ $(SHIM_SRC) -ldl -pthread

define MODULE_RULE
$(BUILD)/modules/engine/$(1).so: $(call objs,$(call mod_src,$(1)) $(if $(filter -lcrypto,$(LIBS_$(1))),engine/prim/crypto.c) \
                                 $(if $(filter jose,$(1)),engine/prim/hash_text.c) \
                                 $(if $(filter db http mail,$(1)),engine/bind/certificate.c engine/prim/certificate.c) \
                                 $(if $(filter db,$(1)),engine/prim/certificate_x509.c) \
                                 $(if $(filter http mail,$(1)),engine/prim/certificate_curl.c) \
                                 $(GLUE_SRC) $(BASE_SRC))
	@mkdir -p $$(@D)
	@echo '  LINK  $$@'
	$$(Q)$$(CC) $$(LDFLAGS) -shared -o $$@ $$^ $$(LIBS_$(1))
endef
$(foreach m,$(HAVE_MODULES),$(eval $(call MODULE_RULE,$(m))))

# POSIX for Lua specs (sockets, processes, limits), loaded by tests alone.
$(BUILD)/modules/testkit.so: $(BUILD)/obj/tests/lua/support/testkit.o
	@mkdir -p $(@D)
	@echo '  LINK  $@'
	$(Q)$(CC) $(LDFLAGS) -shared -o $@ $^

# A C test links everything but main; what it needs of a module's library it gets here.
$(BUILD)/tests/%: $(BUILD)/obj/tests/c/%.o $(call objs,$(RUN_SRC) $(VM_SRC) $(BASE_SRC) $(wildcard engine/prim/*.c) \
                  $(filter-out engine/recorder/main.c,$(RECORD_SRC)))
	@mkdir -p $(@D)
	@echo '  LINK  $@'
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LUA_STATIC) -lcmocka -ljansson -lpq -lcurl -lexpat -lcjose -lssl -lcrypto -lseccomp -lpg_query

$(BUILD)/tests/test_mem: private LDFLAGS += -Wl,--wrap=malloc
$(BUILD)/tests/test_conv_canon: private LDFLAGS += -Wl,--wrap=realloc,--wrap=reallocarray

# Solvers that are wrong on purpose, for the determinism gate's tests. Never sanitized: what they do would not happen then.
$(BUILD)/tests/solvers/%: tests/solvers/%.c Makefile
	@mkdir -p $(@D)
	@echo '  LINK  $@'
	$(Q)$(CC) -D_GNU_SOURCE -std=c17 -O1 -g $(WARN) -o $@ $< -ljansson -pthread

# What makes allocations fail, and what runs programs with it. Never sanitized: it stands between the program and the allocator.
comma := ,
FAULT := $(addprefix $(BUILD)/tests/fault/,fault.so run gate-audit)
$(BUILD)/tests/fault/fault.so $(BUILD)/tests/fault/run: $(BUILD)/tests/fault/%: tests/fault/fault.h Makefile
	@mkdir -p $(@D)
	@echo '  LINK  $@'
	$(Q)$(CC) -D_GNU_SOURCE -std=c17 -O1 -g $(WARN) -fvisibility=hidden $(if $(filter %.so,$@),-shared -fPIC -Wl$(comma)-soname$(comma)fault.so) -o $@ \
	    tests/fault/$(*:.so=).c -ldl
$(BUILD)/tests/fault/fault.so: tests/fault/fault.c
$(BUILD)/tests/fault/run: tests/fault/run.c
# The audit program again, with the library linked in: the broker starts it with an environment that names none.
$(BUILD)/tests/fault/gate-audit: $(AUDIT_OBJ) $(BUILD)/tests/fault/fault.so
	@echo '  LINK  $@'
	$(Q)$(CC) $(LDFLAGS) $(AUDIT_WRAP) -Wl,-rpath,$(abspath $(@D)) -o $@ -Wl,--no-as-needed $(BUILD)/tests/fault/fault.so -Wl,--as-needed \
	    $(AUDIT_OBJ) \
	    -l:liblua5.4.a -l:libjansson.a -lm

# A fuzz target links everything but the programs' main functions, as a C test does, and the solvers' readers, the recorder and
# the database binding besides; Mini-XML reads what the engine wrote.
FUZZ_NAMES := $(patsubst tests/fuzz/%_fuzz.c,%,$(wildcard tests/fuzz/*_fuzz.c))
$(BUILD)/fuzz/%: $(BUILD)/obj/tests/fuzz/%_fuzz.o $(call objs,$(RUN_SRC) $(VM_SRC) $(BASE_SRC) $(wildcard engine/prim/*.c) \
                 $(filter-out %/main.c,$(ROSTER_SRC) $(ROUTING_SRC) $(SOLVER_SRC)) $(filter-out engine/recorder/main.c,$(RECORD_SRC)) $(wildcard engine/bind/db*.c) engine/bind/certificate.c)
	@mkdir -p $(@D)
	@echo '  LINK  $@'
	$(Q)$(CC) $(LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(LUA_STATIC) -ljansson -lpq -lcurl -lexpat -lcjose -lssl -lcrypto -lpg_query -lmxml

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)

build-tests: all $(FAULT) $(TEST_BIN) $(patsubst tests/solvers/%.c,$(BUILD)/tests/solvers/%,$(wildcard tests/solvers/*.c))

# --- what is needed, and the two commands of a newcomer ---

# A phony target each, so that `make run` does not ask for what only the tests need.
deps-run:
	@.ci/install-packages "build and run gate-engine" $(PACKAGES_RUN)
deps-test: deps-run
	@.ci/install-packages "test gate-engine" $(PACKAGES_TEST)
deps-services: deps-test
	@.ci/install-packages "test gate-engine against real services" $(PACKAGES_SERVICES)
deps-lint:
	@.ci/install-packages "lint gate-engine" $(PACKAGES_LINT)
deps-fuzz: deps-run
	@.ci/install-packages "fuzz gate-engine" $(PACKAGES_FUZZ)
deps-bench: deps-run
	@.ci/install-packages "measure gate-engine" $(PACKAGES_BENCH)
# What `make run` and `make test` need.
deps: deps-test

# Standard output is the engine's alone: what the build says goes to standard error.
run: deps-run
	@$(MAKE) all >&2
	@$(BUILD)/gate-engine run scripts/all.lua

# --- tests ---

RUN_TESTS = $(TEST_ENV) lua5.4 tests/runner.lua

test: deps-test
	@$(MAKE) build-tests
	@$(RUN_TESTS) rls e2e lua c
test-c test-lua test-e2e test-rls: deps-test
	@$(MAKE) build-tests
	@$(RUN_TESTS) $(@:test-%=%)
test-services: deps-services
	@$(MAKE) all
	@tests/services/fetch.sh $(BUILD)/services
	@$(RUN_TESTS) services
# Gate 1 on the other releases of PostgreSQL, whose servers come from npm; where it cannot be reached they are left out, and that is said.
test-releases: deps-test
	@$(MAKE) all
	@tests/releases/fetch.sh $(BUILD)/releases
	@$(RUN_TESTS) releases

# The tests under AddressSanitizer and UndefinedBehaviorSanitizer, leaks included. Lua programs load instrumented modules into a
# plain interpreter, which needs the sanitizer's library first. Hostile scripts are for the release build: the sanitizers and the
# kernel's filters exclude each other, and what limits them would be measured of another program.
asan: deps-test
	@$(MAKE) test BUILD=build-asan SANITIZE=address,undefined TEST_ENV="\
	    ASAN_OPTIONS=detect_leaks=1:verify_asan_link_order=0:abort_on_error=0:strict_string_checks=1:detect_stack_use_after_return=1 \
	    LSAN_OPTIONS=suppressions=$(CURDIR)/tests/support/lsan.supp:print_suppressions=0 \
	    UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 TEST_TIMEOUT=1800 TEST_SKIP=escape_spec FAULT_SAMPLES=3 \
	    TEST_PRELOAD=$$($(CC) -print-file-name=libasan.so)"

# Every allocation of every run that tests/e2e/fault_spec.lua knows fails once, alone and with all that follow. Takes hours;
# FAULT_SAMPLES=paths looks at the first on each call path, FAULT_SAMPLES=200 at so many of each run, FAULT_ONLY="a suite" at the runs
# whose names have that.
FAULT_SAMPLES ?= all
fault: deps-test
	@$(MAKE) build-tests
	@FAULT_SAMPLES=$(FAULT_SAMPLES) TEST_ONLY=fault_spec TEST_TIMEOUT=86400 lua5.4 tests/runner.lua e2e

# Every reader of foreign bytes under coverage-guided fuzzing (libFuzzer with AddressSanitizer and UndefinedBehaviorSanitizer), for
# SECONDS each. What crashes it stays in build-fuzz/crashes/; what it found to be worth keeping grows in build-fuzz/corpus/.
SECONDS ?= 20
fuzz: deps-fuzz
	@$(MAKE) all
	@$(MAKE) fuzz-run BUILD=build-fuzz CC=clang WARN=-w SANITIZE=fuzzer-no-link,address,undefined SECONDS=$(SECONDS)
	@LUA_PATH='stdlib/?.lua;;' LUA_CPATH='$(BUILD)/modules/?.so;;' lua5.4 tests/fuzz/forecast.lua
	@LUA_PATH='stdlib/?.lua;;' LUA_CPATH='$(BUILD)/modules/?.so;;' lua5.4 tests/fuzz/matrix.lua
	@LUA_PATH='stdlib/?.lua;;' LUA_CPATH='$(BUILD)/modules/?.so;;' lua5.4 tests/fuzz/csv.lua
	@LUA_PATH='stdlib/?.lua;;' LUA_CPATH='$(BUILD)/modules/?.so;;' lua5.4 tests/fuzz/scenario.lua
fuzz-run: $(addprefix $(BUILD)/fuzz/,$(FUZZ_NAMES))
	@mkdir -p $(BUILD)/crashes
	@for name in $(FUZZ_NAMES); do \
	    mkdir -p $(BUILD)/corpus/$$name && \
	    UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 $(BUILD)/fuzz/$$name -max_total_time=$(SECONDS) -max_len=4096 -timeout=10 \
	        -rss_limit_mb=2048 -artifact_prefix=$(BUILD)/crashes/$$name- $(BUILD)/corpus/$$name tests/fuzz/corpus/$$name \
	        >$(BUILD)/fuzz/$$name.log 2>&1 || { tail -n 60 $(BUILD)/fuzz/$$name.log; echo "fuzz $$name: FAILED"; exit 1; }; \
	    echo "fuzz $$name: $$(grep -o 'Done [0-9]* runs' $(BUILD)/fuzz/$$name.log), no crash"; \
	done

# --- upkeep ---

C_FILES   = $(shell find engine tests -name '*.[ch]')
LINT_MORE = $(sort $(wildcard tests/lint/*.sh tests/lint/*.lua))

lint: deps-lint
	@clang-format --dry-run -Werror $(C_FILES)
	@luacheck --no-color -q .
	@for script in $(LINT_MORE); do \
	    case $$script in *.lua) lua5.4 $$script ;; *) bash $$script ;; esac || exit 1; \
	done
format: deps-lint
	@clang-format -i $(C_FILES)

bench: deps-bench
	@$(MAKE) all >&2
	@LUA_CPATH='$(BUILD)/modules/?.so;;' lua5.4 tests/bench/bench.lua >$(BUILD)/BENCHMARKS.md && cp $(BUILD)/BENCHMARKS.md BENCHMARKS.md
	@cat BENCHMARKS.md

# --- installation: PREFIX/bin, PREFIX/lib/gate-engine, PREFIX/share/gate-engine ---

LIBDIR   = $(DESTDIR)$(PREFIX)/lib/gate-engine
SHAREDIR = $(DESTDIR)$(PREFIX)/share/gate-engine

install:
	@$(MAKE) all
	install -d $(DESTDIR)$(PREFIX)/bin $(LIBDIR)/modules/engine $(SHAREDIR)
	install -m 755 $(BUILD)/gate-engine $(DESTDIR)$(PREFIX)/bin/
	install -m 755 $(filter-out $(BUILD)/gate-engine,$(PROGRAMS)) $(LIBDIR)/
	install -m 644 $(MODULE_SO) $(LIBDIR)/modules/engine/
	install -d $(DESTDIR)$(PREFIX)/share/man/man1
	$(BUILD)/gate-engine doc man >$(BUILD)/gate-engine.1
	install -m 644 $(BUILD)/gate-engine.1 $(DESTDIR)$(PREFIX)/share/man/man1/
	$(HASHED) | while IFS= read -r f; do install -D -m 644 "$$f" "$(SHAREDIR)/$$f" || exit 1; done

clean:
	rm -rf build build-asan build-fuzz $(BUILD)
