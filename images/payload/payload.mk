# Bare-metal payloads: each images/payload/NAME.c becomes obj/images/payload/NAME.elf, linked with
# the library in images/payload/lib; NAME.S stands alone.  Included by the main Makefile.  Flags are
# their own: nothing of the host's C library, and no sanitizer, fits a guest.

PAYLOAD_CFLAGS := -std=gnu17 -O2 -g -ffreestanding -fno-pic -fno-pie \
	-mno-red-zone -mgeneral-regs-only -fno-stack-protector -fno-strict-aliasing \
	-fcf-protection=none -fno-asynchronous-unwind-tables -Wall -Wextra -Wshadow -Wundef \
	-Wmissing-prototypes -Wstrict-prototypes -Wwrite-strings -Wvla $(PAYLOAD_WERROR)
PAYLOAD_LDFLAGS := -nostdlib -static -Wl,--build-id=none -Wl,-z,noexecstack \
	-Wl,-z,max-page-size=4096 -Wl,--no-warn-rwx-segments

payload_dir := images/payload
payload_deps := config.mak $(srcdir)/$(payload_dir)/payload.mk $(srcdir)/$(payload_dir)/payload.lds
payload_lib := $(patsubst $(srcdir)/%,obj/%.o,$(wildcard $(srcdir)/$(payload_dir)/lib/*.[cS]))
payload_c := $(patsubst $(srcdir)/%.c,obj/%.elf,$(wildcard $(srcdir)/$(payload_dir)/*.c))
payload_s := $(patsubst $(srcdir)/%.S,obj/%.elf,$(wildcard $(srcdir)/$(payload_dir)/*.S))

.PHONY: payloads
payloads: $(payload_c) $(payload_s) obj/payload/tap_peer  ## build the bare-metal guests of the payload tests

$(payload_lib): obj/$(payload_dir)/lib/%.o: $(srcdir)/$(payload_dir)/lib/% $(payload_deps)
	@mkdir -p $(@D)
	$(if $(V),,@echo "  PAYLOAD $(payload_dir)/lib/$*";) \
		$(CC) $(PAYLOAD_CFLAGS) -I$(srcdir) -MMD -MP -c -o $@ $<

$(payload_c): obj/%.elf: $(srcdir)/%.c $(payload_lib) $(payload_deps)
	@mkdir -p $(@D)
	$(if $(V),,@echo "  PAYLOAD $*";) \
		$(CC) $(PAYLOAD_CFLAGS) -I$(srcdir) -MMD -MP -MF $@.d -MT $@ $(PAYLOAD_LDFLAGS) \
		-Wl,-T,$(srcdir)/$(payload_dir)/payload.lds -o $@ $< $(payload_lib)

$(payload_s): obj/%.elf: $(srcdir)/%.S $(payload_deps)
	@mkdir -p $(@D)
	$(if $(V),,@echo "  PAYLOAD $*";) \
		$(CC) $(PAYLOAD_CFLAGS) -I$(srcdir) $(PAYLOAD_LDFLAGS) \
		-Wl,-T,$(srcdir)/$(payload_dir)/payload.lds -o $@ $<

# The host's side of the payloads' network cable.
obj/payload/tap_peer: $(srcdir)/tests/payload/tap_peer.c config.mak
	@mkdir -p $(@D)
	$(if $(V),,@echo "  CC      tests/payload/tap_peer";) \
		$(CC) -std=c17 -O2 -g -Wall -Wextra -Wshadow $(PAYLOAD_WERROR) -o $@ $<

-include $(payload_lib:.o=.d) $(addsuffix .d,$(payload_c))
