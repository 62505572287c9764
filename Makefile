# Vireo.  One make file, not recursive; 'make help' lists the targets.
#
# 'make run' and 'make check' work on a machine where nothing is set up: they install the packages
# listed in images/packages.txt, configure, and go on.  Everything else expects ./configure.

MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

srcdir := $(patsubst %/,%,$(dir $(realpath $(lastword $(MAKEFILE_LIST)))))
# These bring their own configuration, so that they work before ./configure was run.
UNCONFIGURED := deps help kernel run check check-unit check-guest check-payload check-fuzz check-vhost \
	conformance bench fuzz dist clean distclean
ifneq ($(wildcard config.mak),)
include config.mak
else ifneq ($(filter-out $(UNCONFIGURED),$(or $(MAKECMDGOALS),all)),)
include config.mak
endif

config.mak: $(srcdir)/configure
	@if [ -x config.status ]; then ./config.status; else $(srcdir)/configure; fi

# Services often have none; the tests look below it for kernels, as images/cache.sh does.
export HOME ?= $(shell getent passwd $$(id -u) | cut -d : -f 6)

Q := $(if $(V),,@)
say = @$(if $(V),:,printf '  %-7s %s\n' '$(1)' '$(patsubst $(srcdir)/%,%,$(2))')

VPATH := $(srcdir)
comma := ,
FLOORS := base machine virtio vhost devices vmm
DIRS_base := vmm/base
DIRS_machine := vmm/machine vmm/machine/x86
DIRS_virtio := virtio
DIRS_vhost := vhost
DIRS_devices := devices
DIRS_vmm := vmm vmm/agent vmm/control vmm/exec vmm/export vmm/file vmm/kernel vmm/report vmm/test

sources = $(sort $(patsubst $(srcdir)/%,%,$(wildcard $(addprefix $(srcdir)/,$(addsuffix /*.c,$(1))))))
objects = $(patsubst %.c,obj/%.o,$(1))
$(foreach f,$(FLOORS),$(eval SRC_$(f) := $(call sources,$(DIRS_$(f)))))
SRC_vmm := $(filter-out vmm/main.c,$(SRC_vmm))
SRC_support := $(call sources,tests/support)
$(foreach f,$(FLOORS),$(eval TEST_$(f) := $(call sources,tests/$(f))))
BENCHES := tests/bench/ring.c tests/bench/blk_path.c tests/bench/net_path.c
FUZZERS := $(patsubst tests/fuzz/%.c,%,$(call sources,tests/fuzz))
HEADERS := $(sort $(patsubst $(srcdir)/%,%,$(wildcard $(addprefix $(srcdir)/,\
	$(addsuffix /*.h,$(foreach f,$(FLOORS),$(DIRS_$(f))) tests/support)))))

# The archives of a floor and of those below it, in link order: what its tests may use.
upto_base := base
upto_machine := machine base
upto_virtio := virtio machine base
upto_vhost := vhost virtio machine base
upto_devices := devices vhost virtio machine base
upto_vmm := vmm devices vhost virtio machine base
archives = $(patsubst %,obj/lib%.a,$(upto_$(1)))

ALL_CFLAGS = $(BASE_CFLAGS) -I$(srcdir) -include config.h -MMD -MP $(EXTRA_CFLAGS) $(CFLAGS)
ALL_LDFLAGS = $(BASE_LDFLAGS) $(LDFLAGS)
obj/virtio/%.o obj/vhost/%.o: EXTRA_CFLAGS = -Wconversion
# It has a file of the tree in it, which the assembler looks for.
OPENAPI_CFLAGS := -Wa,-I,$(srcdir)
obj/vmm/control/openapi.o: EXTRA_CFLAGS = $(OPENAPI_CFLAGS)
obj/vmm/control/openapi.o obj/fuzz/vmm/control/openapi.o: docs/openapi.yaml

# The agent is a program of its own: static, without the sanitizers, for whatever guest.
AGENT := obj/agent/vireo-agent
AGENT_SRC := $(call sources,images/agent) vmm/agent/agent_wire.c
AGENT_CFLAGS := -std=c17 -D_GNU_SOURCE -Os -Wall -Wextra -Wshadow -Wundef -Wmissing-prototypes -Wstrict-prototypes \
	-Wwrite-strings -Wvla -Wformat=2 -Wno-format-truncation -fno-strict-aliasing -fno-asynchronous-unwind-tables \
	-ffunction-sections -fdata-sections
AGENT_LDFLAGS := -static -s -Wl,--gc-sections -Wl,-z,noseparate-code
IMAGE_CFLAGS := -Wa,-I,. -Wa,-I,$(srcdir)
obj/vmm/agent/agent_image.o: EXTRA_CFLAGS = $(IMAGE_CFLAGS)
obj/vmm/agent/agent_image.o obj/fuzz/vmm/agent/agent_image.o: $(AGENT) docs/examples/vireo-agent.service

.PHONY: all check check-unit check-guest check-payload check-fuzz check-vhost conformance bench fuzz lint install \
	uninstall dist distcheck clean distclean help deps kernel run configured payloads docs-screenshot
.PHONY: run-configured check-configured check-unit-configured check-guest-configured \
	check-payload-configured check-fuzz-configured check-vhost-configured conformance-configured fuzz-configured \
	bench-configured

# What is made from the program itself: it knows its options best.
COMPLETIONS := obj/completion/vireo.bash obj/completion/_vireo obj/completion/vireo.fish
SCHEMA := $(if $(filter 1,$(HAVE_JANSSON)),obj/vireo.schema.json)
QUIET_ASAN := ASAN_OPTIONS=detect_leaks=0
PAGES := $(if $(filter yes,$(HAVE_SCDOC)),$(addprefix obj/man/,vireo.1 vireo-ctl.1 vireo-exec.1 vireo-test.1 \
	vireo.yaml.5))
GENERATED := $(PAGES) $(COMPLETIONS) $(SCHEMA)

all: vireo $(GENERATED) ## build the program (default)

vireo: obj/vmm/main.o $(call archives,vmm)
	$(call say,LINK,$@)
	$(Q)$(CC) $(BASE_CFLAGS) $(CFLAGS) $(LINK) -o $@ $^ $(ALL_LDFLAGS) $(LIBS)

# One command for all of it: it is small.  Without a compiler for it, there is none to be had.
$(AGENT): $(AGENT_SRC) $(srcdir)/images/agent/guest.h $(srcdir)/vmm/agent/agent_wire.h config.mak
	$(call say,AGENT,$@)
	$(Q)mkdir -p $(@D) && $(if $(AGENT_CC),$(AGENT_CC) $(AGENT_CFLAGS) $(AGENT_EXTRA) -I$(srcdir) \
		-I$(srcdir)/images/agent -o $@ $(filter %.c,$^) $(AGENT_LDFLAGS),: >$@)

$(PAGES): obj/man/%: docs/man/%.scd docs/man/compose vireo
	$(call say,MAN,$@)
	$(Q)mkdir -p $(@D) && $(QUIET_ASAN) $(srcdir)/docs/man/compose ./vireo $< >$@.scd && \
		scdoc <$@.scd >$@

obj/completion/vireo.bash: SHELL_NAME := bash
obj/completion/_vireo: SHELL_NAME := zsh
obj/completion/vireo.fish: SHELL_NAME := fish
$(COMPLETIONS): vireo
	$(Q)mkdir -p $(@D) && $(QUIET_ASAN) ./vireo completion $(SHELL_NAME) >$@

obj/vireo.schema.json: vireo
	$(Q)$(QUIET_ASAN) ./vireo config --schema >$@

# Tests can have the n-th of these fail: tests/support/fault.h.
FAULT_CALLS := eventfd epoll_create1 epoll_ctl timerfd_create memfd_create ftruncate fallocate fstat \
	fdatasync pread preadv preadv2 pwritev2 madvise pthread_create io_uring_queue_init \
	io_uring_queue_init_params io_uring_register_files io_uring_submit_and_wait syscall ioctl open \
	fcntl mmap munmap socket bind listen connect malloc calloc realloc strdup free
FAULT_LDFLAGS := $(patsubst %,-Wl$(comma)--wrap=%,$(FAULT_CALLS))

define floor_rules
obj/lib$(1).a: $(call objects,$(SRC_$(1)))
	$$(call say,AR,$$@)
	$$(Q)rm -f $$@ && $(or $(AR),ar) rcsD $$@ $$^
obj/tests/$(1)_test: $(call objects,$(TEST_$(1)) $(SRC_support)) $(call archives,$(1))
	$$(call say,LINK,$$@)
	$$(Q)$$(CC) $$(BASE_CFLAGS) $$(CFLAGS) -pie $(FAULT_LDFLAGS) -o $$@ $(call objects,$(TEST_$(1))) \
		obj/tests/support/fault.o \
		$(if $(filter-out base,$(1)),obj/libsupport-$(1).a) $(call archives,$(1)) \
		$$(ALL_LDFLAGS) -lcriterion $$(LIBS)
endef
$(foreach f,$(FLOORS),$(eval $(call floor_rules,$(f))))

# Helpers of the tests; an archive, so that each floor's tests take only what they use.
define support_rules
obj/tests/$(1)_test: obj/libsupport-$(1).a
obj/libsupport-$(1).a: $(call objects,$(SRC_support))
	$$(Q)rm -f $$@ && $(or $(AR),ar) rcsD $$@ $$^
endef
$(foreach f,$(filter-out base,$(FLOORS)),$(eval $(call support_rules,$(f))))

obj/%.o: %.c config.mak config.h
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) -c -o $@ $<

-include $(patsubst %.o,%.d,$(call objects,vmm/main.c $(BENCHES) $(SRC_support) \
	$(foreach f,$(FLOORS),$(SRC_$(f)) $(TEST_$(f)))))

include $(wildcard $(srcdir)/images/payload/payload.mk)

# --- Running and testing ------------------------------------------------------------------------

deps: ## install the Debian packages that are missing
	@$(srcdir)/images/deps

kernel: deps ## build the guest kernel of our own, once: 5 minutes
	@$(srcdir)/images/build-kernel

configured: deps
	@test -e config.mak || $(srcdir)/configure --quiet

run: configured ## boot a stock Debian kernel: install, configure, build, run
	@$(MAKE) --no-print-directory run-configured

run-configured: vireo
	@$(srcdir)/images/run-demo ./vireo

# Each part prints TAP or Criterion's TAP; tests/check adds up and prints the line that counts.
check: configured ## every test: unit, budget, fuzz, payload, boot, vhost, Linux guests
	@$(MAKE) --no-print-directory check-configured
check-unit: configured ## unit tests only (Criterion)
	@$(MAKE) --no-print-directory check-unit-configured
check-payload: configured ## bare-metal payloads on the host's KVM, also as boot tests
	@$(MAKE) --no-print-directory check-payload-configured
check-fuzz: configured ## replay the corpus of each fuzz target, and fuzz each for a few seconds
	@$(MAKE) --no-print-directory check-fuzz-configured
check-vhost: configured ## tests against the vhost of a real kernel, in the nested test bed
	@$(MAKE) --no-print-directory check-vhost-configured
check-guest: configured ## every Linux guest, in the nested test bed where needed (check runs a third)
	@$(MAKE) --no-print-directory check-guest-configured

PATHS := obj/bench/blk_path obj/bench/net_path
UNIT_TESTS := $(foreach f,$(FLOORS),$(if $(TEST_$(f)),obj/tests/$(f)_test))
include $(srcdir)/tests/path/path.mk
# Without clang 'make check' says that it skips the fuzz targets, 'make fuzz' that it cannot.
FUZZ_PROGRAMS = $(patsubst %,obj/fuzz/%,$(FUZZERS))
FUZZ_IF_ANY = $(if $(filter yes,$(HAVE_FUZZ)),$(FUZZ_PROGRAMS))
# Some guests need a kernel of our own.  Where it cannot be built they are skipped, and say so.
check-configured: vireo $(GENERATED) $(UNIT_TESTS) $(PATHS) $(FUZZ_IF_ANY) payloads
	@$(srcdir)/images/build-kernel >/dev/null || echo "make check: goes on without a kernel of our own"
	@$(srcdir)/tests/check unit cli path fuzz payload boot vhost linux guest
check-unit-configured: vireo $(UNIT_TESTS) payloads
	@$(srcdir)/tests/check unit cli
check-payload-configured: vireo payloads
	@$(srcdir)/tests/check payload boot
check-fuzz-configured: $(FUZZ_IF_ANY)
	@$(srcdir)/tests/check fuzz
check-vhost-configured: vireo $(UNIT_TESTS)
	@$(srcdir)/tests/check vhost
check-guest-configured: vireo payloads kernel
	@$(srcdir)/tests/check linux-all guest-all

# A test says which statements it covers; what is neither covered nor waived is named.
conformance: configured ## the matrix: each statement of the specification and its tests
	@$(MAKE) --no-print-directory conformance-configured
conformance-configured: vireo $(UNIT_TESTS) payloads
	@$(srcdir)/tests/conformance/matrix

bench: configured ## measure, side by side with QEMU; raw numbers in obj/bench/
	@$(MAKE) --no-print-directory bench-configured
bench-configured: vireo payloads obj/bench/ring $(PATHS)
	@$(srcdir)/tests/bench/run ./vireo obj
# With the program's own flags and archives: what they measure is what runs.
obj/bench/ring: obj/tests/bench/ring.o $(call archives,virtio)
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(BASE_CFLAGS) $(CFLAGS) $(LINK) -o $@ $^ $(ALL_LDFLAGS) $(LIBS)
$(PATHS): obj/bench/%: obj/tests/bench/%.o obj/libsupport-devices.a $(call archives,devices)
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(BASE_CFLAGS) $(CFLAGS) -pie -o $@ $^ $(ALL_LDFLAGS) -lcriterion $(LIBS)

docs-screenshot: vireo ## renew docs/test-report.png, the picture of a test report
	@$(srcdir)/tests/vmm/test_report_test.sh ./vireo $(srcdir)/docs/test-report.png

# --- Fuzzing -------------------------------------------------------------------------------------

# Beside the other objects, and built by clang with its sanitizers whatever CC and CFLAGS are.
FUZZ_SECONDS ?= 20
FUZZ_CC := clang
FUZZ_CFLAGS := -std=c17 -D_GNU_SOURCE -O1 -g -fPIE -fno-strict-aliasing -fno-omit-frame-pointer \
	-fsanitize=address,undefined -fno-sanitize-recover=undefined
FUZZ_FLOORS := $(FLOORS)

fuzz: configured ## run each fuzz target for FUZZ_SECONDS (20); what it finds stays in obj/fuzz/
	@$(MAKE) --no-print-directory fuzz-configured
ifeq ($(HAVE_FUZZ),yes)
fuzz-configured: $(FUZZ_PROGRAMS)
	@$(srcdir)/tests/fuzz/run $(FUZZ_SECONDS) $^
else
fuzz-configured:
	@echo "make fuzz: needs clang with libFuzzer: install clang and libclang-rt-14-dev, then ./configure" >&2
	@exit 1
endif

FUZZ_OBJ = $(patsubst %.c,obj/fuzz/%.o,$(foreach f,$(FUZZ_FLOORS),$(SRC_$(f))))
FUZZ_SUPPORT = $(patsubst %.c,obj/fuzz/%.o,$(SRC_support))
FUZZ_MAIN = $(patsubst %,obj/fuzz/tests/fuzz/%.o,$(FUZZERS))
# A target gets those that it calls.
obj/fuzz/libfuzz.a: $(FUZZ_SUPPORT) $(FUZZ_OBJ)
	$(Q)rm -f $@ && $(or $(AR),ar) rcsD $@ $^
$(FUZZ_PROGRAMS): obj/fuzz/%: obj/fuzz/tests/fuzz/%.o obj/fuzz/libfuzz.a
	$(call say,LINK,$@)
	$(Q)$(FUZZ_CC) $(FUZZ_CFLAGS) -pie -fsanitize=fuzzer -o $@ $^ -Wl,--as-needed $(LIBS)
obj/fuzz/vmm/control/openapi.o: FUZZ_EXTRA = $(OPENAPI_CFLAGS)
obj/fuzz/vmm/agent/agent_image.o: FUZZ_EXTRA = $(IMAGE_CFLAGS)
# The helpers' assertions must not need a test runner.
$(FUZZ_SUPPORT): FUZZ_EXTRA = -I$(srcdir)/tests/fuzz/stand-in
obj/fuzz/%.o: %.c config.mak config.h
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(FUZZ_CC) $(FUZZ_CFLAGS) -fsanitize=fuzzer-no-link $(FUZZ_EXTRA) -I$(srcdir) \
		-include config.h -MMD -MP -c -o $@ $<
.SECONDARY: $(FUZZ_MAIN) $(FUZZ_SUPPORT) $(FUZZ_OBJ)
-include $(patsubst %.o,%.d,$(FUZZ_MAIN) $(FUZZ_SUPPORT) $(FUZZ_OBJ))

# --- Keeping the house in order ------------------------------------------------------------------

lint: config.h ## floors, headers, forbidden words, cppcheck, shellcheck
	@mkdir -p obj && CC='$(CC)' CFLAGS='$(BASE_CFLAGS)' $(srcdir)/tests/lint $(HEADERS)
	@$(srcdir)/tests/conformance/update
	@$(srcdir)/tests/conformance/selftest

page_path = $(mandir)/man$(subst .,,$(suffix $(1)))/$(notdir $(1))
# Where each shell looks by itself.
bashcompdir := $(datadir)/bash-completion/completions
zshcompdir := $(datadir)/zsh/site-functions
fishcompdir := $(datadir)/fish/vendor_completions.d
# And systemd.
unitdir := $(prefix)/lib/systemd/system

install: all ## install under PREFIX (DESTDIR is honoured)
	install -D -m 755 vireo $(DESTDIR)$(bindir)/vireo
	$(foreach p,$(PAGES),install -D -m 644 $(p) $(DESTDIR)$(call page_path,$(p)) &&) :
	install -D -m 644 obj/completion/vireo.bash $(DESTDIR)$(bashcompdir)/vireo
	install -D -m 644 obj/completion/_vireo $(DESTDIR)$(zshcompdir)/_vireo
	install -D -m 644 obj/completion/vireo.fish $(DESTDIR)$(fishcompdir)/vireo.fish
	install -d $(DESTDIR)$(unitdir)
	sed 's,@bindir@,$(bindir),g' '$(srcdir)/systemd/vireo@.service' >'$(DESTDIR)$(unitdir)/vireo@.service'
	chmod 644 '$(DESTDIR)$(unitdir)/vireo@.service'
	$(if $(SCHEMA),install -D -m 644 $(SCHEMA) $(DESTDIR)$(datadir)/vireo/vireo.schema.json)

uninstall: ## remove what install put there
	rm -f $(DESTDIR)$(bindir)/vireo $(foreach p,$(PAGES),$(DESTDIR)$(call page_path,$(p))) \
		$(DESTDIR)$(bashcompdir)/vireo $(DESTDIR)$(zshcompdir)/_vireo \
		$(DESTDIR)$(fishcompdir)/vireo.fish $(DESTDIR)$(datadir)/vireo/vireo.schema.json \
		'$(DESTDIR)$(unitdir)/vireo@.service'

VERSION := $(shell cat $(srcdir)/docs/version 2>/dev/null)
dist: ## a reproducible source archive of HEAD
	@mkdir -p obj && git -C $(srcdir) archive --prefix=vireo-$(VERSION)/ HEAD | gzip -n9 >obj/vireo-$(VERSION).tar.gz
	@echo obj/vireo-$(VERSION).tar.gz

distcheck: dist ## unpack it, build out of tree, test, install, uninstall
	@$(srcdir)/tests/distcheck obj/vireo-$(VERSION).tar.gz

clean: ## remove what make built
	rm -rf obj vireo

distclean: clean ## remove what configure wrote, too
	rm -f config.mak config.h config.log config.status

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(srcdir)/Makefile | expand -t 18

print-%:
	@echo '$* = $($*)'
