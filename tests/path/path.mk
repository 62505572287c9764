# The way of a feature bit, counted: path_test on a virtio floor in which every function that the
# source calls is called, none inlined and none left by a jump.  Included by the main Makefile.

PATH_OBJ := $(patsubst %.c,obj/path/%.o,$(SRC_virtio))
UNIT_TESTS += obj/tests/path_test

obj/path/%.o: %.c config.mak config.h
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) -O1 -fno-inline -fno-optimize-sibling-calls -c -o $@ $<

obj/tests/path_test: obj/tests/path/path_test.o $(PATH_OBJ) obj/libsupport-virtio.a \
		obj/libmachine.a obj/libbase.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(BASE_CFLAGS) $(CFLAGS) -pie $(FAULT_LDFLAGS) -Wl,--wrap=negotiation_write_status \
		-Wl,--wrap=negotiation_write_status_legacy -Wl,--wrap=virtqueue_create -o $@ \
		obj/tests/path/path_test.o obj/tests/support/fault.o $(PATH_OBJ) \
		obj/libsupport-virtio.a obj/libmachine.a obj/libbase.a $(ALL_LDFLAGS) -lcriterion $(LIBS)

-include obj/tests/path/path_test.d $(PATH_OBJ:.o=.d)
