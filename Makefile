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
UNCONFIGURED := deps help run check check-unit check-guest check-payload bench dist clean distclean
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
FLOORS := base machine virtio vhost devices vmm
DIRS_base := vmm/base
DIRS_machine := vmm/machine vmm/machine/x86
DIRS_virtio := virtio
DIRS_vhost := vhost
DIRS_devices := devices
DIRS_vmm := vmm

sources = $(sort $(patsubst $(srcdir)/%,%,$(wildcard $(addprefix $(srcdir)/,$(addsuffix /*.c,$(1))))))
objects = $(patsubst %.c,obj/%.o,$(1))
$(foreach f,$(FLOORS),$(eval SRC_$(f) := $(call sources,$(DIRS_$(f)))))
SRC_vmm := $(filter-out vmm/main.c,$(SRC_vmm))
SRC_support := $(call sources,tests/support)
$(foreach f,$(FLOORS),$(eval TEST_$(f) := $(call sources,tests/$(f))))
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
obj/fuzz/%.o: EXTRA_CFLAGS = -fsanitize=fuzzer-no-link

.PHONY: all check check-unit check-guest check-payload bench fuzz lint install uninstall dist \
	distcheck clean distclean help deps run configured payloads
.PHONY: run-configured check-configured check-unit-configured check-guest-configured \
	check-payload-configured bench-configured

all: vireo obj/vireo.1 ## build the program (default)

vireo: obj/vmm/main.o $(call archives,vmm)
	$(call say,LINK,$@)
	$(Q)$(CC) $(BASE_CFLAGS) $(CFLAGS) $(LINK) -o $@ $^ $(ALL_LDFLAGS) $(LIBS)

obj/vireo.1: vireo
	$(Q)ASAN_OPTIONS=detect_leaks=0 ./vireo help --man >$@

define floor_rules
obj/lib$(1).a: $(call objects,$(SRC_$(1)))
	$$(call say,AR,$$@)
	$$(Q)rm -f $$@ && $(or $(AR),ar) rcsD $$@ $$^
obj/tests/$(1)_test: $(call objects,$(TEST_$(1)) $(SRC_support)) $(call archives,$(1))
	$$(call say,LINK,$$@)
	$$(Q)$$(CC) $$(BASE_CFLAGS) $$(CFLAGS) -pie -o $$@ $(call objects,$(TEST_$(1))) \
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

-include $(patsubst %.o,%.d,$(call objects,vmm/main.c tests/bench/ring.c $(SRC_support) \
	$(foreach f,$(FLOORS),$(SRC_$(f)) $(TEST_$(f)))))

include $(wildcard $(srcdir)/images/payload/payload.mk)

# --- Running and testing ------------------------------------------------------------------------

deps: ## install the Debian packages that are missing
	@$(srcdir)/images/deps

configured: deps
	@test -e config.mak || $(srcdir)/configure --quiet

run: configured ## boot a stock Debian kernel: install, configure, build, run
	@$(MAKE) --no-print-directory run-configured

run-configured: vireo
	@$(srcdir)/images/run-demo ./vireo

# Each part prints TAP or Criterion's TAP; tests/check adds up and prints the line that counts.
check: configured ## every test: unit, payload, guest
	@$(MAKE) --no-print-directory check-configured
check-unit: configured ## unit tests only (Criterion)
	@$(MAKE) --no-print-directory check-unit-configured
check-payload: configured ## bare-metal payloads on the host's KVM
	@$(MAKE) --no-print-directory check-payload-configured
check-guest: configured ## every Linux guest, in the nested test bed where needed (check runs a third)
	@$(MAKE) --no-print-directory check-guest-configured

UNIT_TESTS := $(foreach f,$(FLOORS),$(if $(TEST_$(f)),obj/tests/$(f)_test))
check-configured: vireo obj/vireo.1 $(UNIT_TESTS) payloads
	@$(srcdir)/tests/check unit cli payload guest
check-unit-configured: vireo $(UNIT_TESTS)
	@$(srcdir)/tests/check unit cli
check-payload-configured: vireo payloads
	@$(srcdir)/tests/check payload
check-guest-configured: vireo payloads
	@$(srcdir)/tests/check guest-all

bench: configured ## measure, side by side with QEMU; raw numbers in obj/bench/
	@$(MAKE) --no-print-directory bench-configured
bench-configured: vireo payloads obj/bench/ring
	@$(srcdir)/tests/bench/run ./vireo obj
# With the program's own flags and archives: what it measures is what runs.
obj/bench/ring: obj/tests/bench/ring.o $(call archives,virtio)
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(BASE_CFLAGS) $(CFLAGS) $(LINK) -o $@ $^ $(ALL_LDFLAGS) $(LIBS)

# --- Fuzzing (CC=clang ./configure --enable-fuzz) ------------------------------------------------

FUZZ_SECONDS ?= 20
fuzz: $(patsubst %,obj/fuzz/%,$(FUZZERS)) ## run each fuzz target for FUZZ_SECONDS (20)
	@for f in $^; do mkdir -p $$f.corpus && \
		$$f -max_total_time=$(FUZZ_SECONDS) -print_final_stats=0 -artifact_prefix=$$f- $$f.corpus || exit 1; done

FUZZ_SRC := $(foreach f,$(filter-out vmm,$(FLOORS)),$(SRC_$(f)))
FUZZ_OBJ = $(patsubst %.c,obj/fuzz/%.o,$(sort $(FUZZ_SRC)))
# Of the tests' helpers a target gets those that it calls.
obj/fuzz/libsupport.a: $(patsubst %.c,obj/fuzz/%.o,$(SRC_support))
	$(Q)rm -f $@ && $(or $(AR),ar) rcsD $@ $^
obj/fuzz/%: obj/fuzz/tests/fuzz/%.o obj/fuzz/libsupport.a $(FUZZ_OBJ)
	$(call say,LINK,$@)
	$(Q)$(CC) $(BASE_CFLAGS) $(CFLAGS) -pie -fsanitize=fuzzer -o $@ $^ $(ALL_LDFLAGS) $(LIBS)
obj/fuzz/%.o: %.c config.mak config.h
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) -c -o $@ $<
.SECONDARY: $(FUZZ_OBJ)

# --- Keeping the house in order ------------------------------------------------------------------

lint: config.h ## floors, headers, forbidden words, cppcheck, shellcheck
	@mkdir -p obj && CC='$(CC)' CFLAGS='$(BASE_CFLAGS)' $(srcdir)/tests/lint $(HEADERS)
	@$(srcdir)/tests/conformance/update

install: all ## install under PREFIX (DESTDIR is honoured)
	install -D -m 755 vireo $(DESTDIR)$(bindir)/vireo
	install -D -m 644 obj/vireo.1 $(DESTDIR)$(mandir)/man1/vireo.1

uninstall: ## remove what install put there
	rm -f $(DESTDIR)$(bindir)/vireo $(DESTDIR)$(mandir)/man1/vireo.1

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
