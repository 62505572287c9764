#include <criterion/criterion.h>

#include "vmm/machine/aml.h"

static uint8_t buf[1 << 21];

static void expect(const struct aml *aml, const char *bytes, size_t len)
{
	cr_assert(!aml_failed(aml));
	cr_assert_eq(aml->len, len);
	cr_assert_arr_eq(aml->buf, bytes, len);
}

#define EXPECT(aml, bytes) expect(aml, bytes, sizeof(bytes) - 1)

Test(aml, integers_take_their_shortest_form)
{
	struct aml aml;

	aml_init(&aml, buf, sizeof(buf));
	aml_integer(&aml, 0);
	aml_integer(&aml, 1);
	aml_integer(&aml, 2);
	aml_integer(&aml, 0xff);
	aml_integer(&aml, 0x100);
	aml_integer(&aml, 0x10000);
	aml_integer(&aml, 0x100000000);
	EXPECT(&aml, "\x00\x01\x0a\x02\x0a\xff\x0b\x00\x01\x0c\x00\x00\x01\x00"
		     "\x0e\x00\x00\x00\x00\x01\x00\x00\x00");
}

Test(aml, eisa_ids_are_packed)
{
	struct aml aml;

	aml_init(&aml, buf, sizeof(buf));
	aml_eisa_id(&aml, "PNP0A03");
	EXPECT(&aml, "\x0c\x41\xd0\x0a\x03");
}

Test(aml, objects_nest_and_get_their_length)
{
	struct aml aml;

	aml_init(&aml, buf, sizeof(buf));
	aml_begin_scope(&aml, "_SB_");
	aml_begin_device(&aml, "DEV0");
	aml_name(&aml, "_UID");
	aml_integer(&aml, 1);
	aml_end(&aml);
	aml_end(&aml);
	EXPECT(&aml, "\x10\x12_SB_\x5b\x82\x0b" "DEV0\x08_UID\x01");
}

Test(aml, resources_are_a_buffer_with_an_end_tag)
{
	struct aml aml;

	aml_init(&aml, buf, sizeof(buf));
	aml_begin_resources(&aml);
	aml_irq(&aml, 4);
	aml_end_resources(&aml);
	EXPECT(&aml, "\x11\x08\x0a\x05\x22\x10\x00\x79\x00");
}

/* A package whose body is one string makes bodies of any length: element count, op, text, zero. */
static size_t length_bytes(size_t text_len)
{
	static char text[1 << 20];
	struct aml aml;

	memset(text, 'x', text_len);
	text[text_len] = '\0';
	aml_init(&aml, buf, sizeof(buf));
	aml_begin_package(&aml, 1);
	aml_string(&aml, text);
	aml_end(&aml);
	cr_assert(!aml_failed(&aml));
	return aml.len - 1 - (1 + 1 + text_len + 1);
}

Test(aml, lengths_grow_by_a_byte_at_each_limit)
{
	/* The length counts itself; 1, 2 and 3 bytes hold up to 63, 4095 and 1048575. */
	cr_expect_eq(length_bytes(63 - 1 - 3), 1);
	cr_expect_eq(length_bytes(63 - 1 - 3 + 1), 2);
	cr_expect_eq(length_bytes(4095 - 2 - 3), 2);
	cr_expect_eq(length_bytes(4095 - 2 - 3 + 1), 3);
	cr_expect_eq(length_bytes(1048575 - 3 - 3), 3);
	cr_expect_eq(length_bytes(1048575 - 3 - 3 + 1), 4);
}

Test(aml, any_lack_of_room_is_noticed)
{
	struct aml aml;
	size_t whole = 19;	/* as in objects_nest_and_get_their_length */

	for (size_t size = 0; size <= whole; size++) {
		memset(buf, 0xee, sizeof(buf));
		aml_init(&aml, buf, size);
		aml_begin_scope(&aml, "_SB_");
		aml_begin_device(&aml, "DEV0");
		aml_name(&aml, "_UID");
		aml_integer(&aml, 1);
		aml_end(&aml);
		aml_end(&aml);
		cr_assert_eq(aml_failed(&aml), size < whole, "%zu", size);
		cr_assert_eq(buf[size], 0xee, "wrote past %zu", size);
	}
}

Test(aml, an_open_object_is_a_failure)
{
	struct aml aml;

	aml_init(&aml, buf, sizeof(buf));
	aml_begin_scope(&aml, "_SB_");
	cr_assert(aml_failed(&aml));
	aml_end(&aml);
	cr_assert(!aml_failed(&aml));
	aml_end(&aml);
	cr_assert(aml_failed(&aml), "one end too many");
}

Test(aml, too_deep_nesting_is_a_failure)
{
	struct aml aml;

	aml_init(&aml, buf, sizeof(buf));
	for (unsigned i = 0; i <= AML_MAX_DEPTH; i++)
		aml_begin_device(&aml, "DEV0");
	for (unsigned i = 0; i <= AML_MAX_DEPTH; i++)
		aml_end(&aml);
	cr_assert(aml_failed(&aml));
}
