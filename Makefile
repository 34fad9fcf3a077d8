# gate-engine: build, test and install. `make run` and `make test` are all a newcomer needs.
#
# Sources are found by place: a file in engine/prim/ belongs to the module its name starts with (db_pipeline.c → db),
# a tests/c/test_*.c is a cmocka program, a tests/lua or tests/e2e *_spec.lua a busted spec.

MAKEFLAGS += --no-builtin-rules
ROOT   := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))
BUILD  ?= build
PREFIX ?= /usr/local
CC     ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif
VERSION := 1.0.0

OPT      ?= -O2 -g
WARN     := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wformat=2 -Wno-format-nonliteral -Wvla
HARDEN   := -D_FORTIFY_SOURCE=2 -fstack-protector-strong
SANITIZE ?=
ifneq ($(SANITIZE),)
HARDEN :=
OPT := -O1 -g -fno-omit-frame-pointer -fsanitize=$(SANITIZE)
endif
CPPFLAGS += -Iengine -I$(BUILD) -D_GNU_SOURCE -DGE_VERSION='"$(VERSION)"' -I/usr/include/lua5.4 -I/usr/include/postgresql
CFLAGS   += -std=c17 $(OPT) $(WARN) $(HARDEN) -fPIC -fvisibility=hidden
LDFLAGS  += -Wl,-z,relro,-z,now $(if $(SANITIZE),-fsanitize=$(SANITIZE))
DEPFLAGS  = -MMD -MP

MODULES := db http hash json store exec task
LIBS_db    := -lpq -ljansson
LIBS_http  := -lcurl -ljansson
LIBS_hash  := -lcrypto -ljansson
LIBS_json  := -ljansson
LIBS_store := -lcrypto -ljansson
LIBS_exec  := -ljansson
LIBS_task  :=

LUA_STATIC := -Wl,--whole-archive -l:liblua5.4.a -Wl,--no-whole-archive -Wl,-E -ldl -lm

objs = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))

BASE_SRC   := $(wildcard engine/base/*.c)
VM_SRC     := $(wildcard engine/vm/*.c)
RUN_SRC    := $(wildcard engine/run/*.c)
PG_SRC     := $(wildcard engine/prim/pg*.c)
GLUE_SRC   := $(wildcard engine/vm/luax*.c engine/vm/conv*.c)
AUDIT_SRC  := $(wildcard engine/audit/*.c)
ROSTER_SRC := $(wildcard engine/solvers/roster/*.c)
MAIN_SRC   := $(wildcard engine/main.c)

mod_src = $(wildcard engine/bind/$(1).c engine/bind/$(1)_*.c engine/prim/$(1).c engine/prim/$(1)_*.c)
HAVE_MODULES := $(foreach m,$(MODULES),$(if $(wildcard engine/bind/$(m).c),$(m)))
MODULE_SO := $(foreach m,$(HAVE_MODULES),$(BUILD)/modules/engine/$(m).so)

PROGRAMS := $(if $(MAIN_SRC),$(BUILD)/gate-engine) $(if $(AUDIT_SRC),$(BUILD)/gate-audit) \
            $(if $(ROSTER_SRC),$(BUILD)/roster-solver)

TEST_SRC := $(wildcard tests/c/test_*.c)
TEST_BIN := $(patsubst tests/c/%.c,$(BUILD)/tests/%,$(TEST_SRC))

.PHONY: all run test test-services test-c test-lua test-e2e lint format bench install asan clean deps
.SECONDARY:

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

$(BUILD)/obj/%.o: %.c Makefile | $(BUILD)/gen/builtin_hashes.h
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(DEPFLAGS) -c $< -o $@

$(BUILD)/gate-engine: $(call objs,$(MAIN_SRC) $(RUN_SRC) $(VM_SRC) $(PG_SRC) $(BASE_SRC))
	$(CC) $(LDFLAGS) -o $@ $^ $(LUA_STATIC) -ljansson -lmxml

# What tenants' code runs in holds Lua and nothing that could reach out: no client library is linked.
$(BUILD)/gate-audit: $(call objs,$(AUDIT_SRC) $(VM_SRC) $(BASE_SRC))
	$(CC) $(LDFLAGS) -o $@ $^ -l:liblua5.4.a -l:libjansson.a -ldl -lm

$(BUILD)/roster-solver: $(call objs,$(ROSTER_SRC) $(BASE_SRC))
	$(CC) $(LDFLAGS) -o $@ $^ -ljansson -lm

define MODULE_RULE
$(BUILD)/modules/engine/$(1).so: $(call objs,$(call mod_src,$(1)) $(GLUE_SRC) $(BASE_SRC))
	@mkdir -p $$(@D)
	$$(CC) $$(LDFLAGS) -shared -o $$@ $$^ $$(LIBS_$(1))
endef
$(foreach m,$(HAVE_MODULES),$(eval $(call MODULE_RULE,$(m))))

# POSIX for Lua specs (sockets, processes, limits), loaded by tests alone.
$(BUILD)/modules/testkit.so: $(BUILD)/obj/tests/lua/support/testkit.o
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -shared -o $@ $^

# A C test links everything but main; what it needs of a module's library it gets here.
$(BUILD)/tests/%: $(BUILD)/obj/tests/c/%.o $(call objs,$(RUN_SRC) $(VM_SRC) $(BASE_SRC) $(wildcard engine/prim/*.c))
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(LUA_STATIC) -lcmocka -ljansson -lmxml -lpq -lcurl -lcrypto

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)

clean:
	rm -rf $(BUILD)
