#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/identity.h"
#include "vmm/machine/smbios.h"
#include "vmm/option.h"

static struct vm_config config;
static struct identity identity;
static struct smbios_config smbios;
static struct mistakes mistakes;

static void setup(void)
{
	cr_assert_eq(config_init(&config), 0);
}

static void teardown(void)
{
	identity_destroy(&identity);
	config_fini(&config);
}

TestSuite(identity, .init = setup, .fini = teardown);

static void set(const char *section, const char *key, const char *value)
{
	char why[OPTION_WHY_SIZE];
	const struct option *o = option_find(section, strlen(section), key, strlen(key));

	cr_assert_not_null(o);
	cr_assert_eq(option_set(o, &config, value, why), 0, "%s", why);
}

static void create(void)
{
	identity_validate(&config, &mistakes);
	cr_assert_eq(mistakes.n, 0);
	cr_assert_eq(identity_create(&identity, &config, &smbios), 0);
}

/* What is wrong about one credential or text, once. */
static void expect_mistake(const char *section, const char *key, const char *value,
			   const char *sentence)
{
	set(section, key, value);
	identity_validate(&config, &mistakes);
	cr_assert_eq(mistakes.n, 1, "%s", value);
	cr_expect(strstr(mistakes.line[0], sentence), "%s", mistakes.line[0]);
	memset(&mistakes, 0, sizeof(mistakes));
	config_fini(&config);
	setup();
}

Test(identity, credentials_are_strings_that_systemd_reads)
{
	set("smbios", "oem_strings", "first");
	set("credentials", "credential", "passwd=a b=c");
	create();
	cr_assert_eq(smbios.n_oem_strings, 2);
	cr_expect_str_eq(smbios.oem_string[0], "first");
	cr_expect_str_eq(smbios.oem_string[1], "io.systemd.credential:passwd=a b=c");
}

Test(identity, bytes_that_no_string_can_have_are_encoded)
{
	static const struct { const char *pair, *string; } table[] = {
		{ "a=\n", "io.systemd.credential.binary:a=Cg==" },
		{ "b=x\n", "io.systemd.credential.binary:b=eAo=" },
		{ "c=xy\n", "io.systemd.credential.binary:c=eHkK" },
		{ "d=\xc3\xbf\xc3\xbe", "io.systemd.credential.binary:d=w7/Dvg==" },
		{ "e=", "io.systemd.credential:e=" },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(table); i++)
		set("credentials", "credential", table[i].pair);
	create();
	for (unsigned i = 0; i < ARRAY_SIZE(table); i++)
		cr_expect_str_eq(smbios.oem_string[i], table[i].string);
}

Test(identity, bad_names_of_credentials_are_refused)
{
	expect_mistake("credentials", "credential", "a/b=c", "'a/b': a name has neither");
	expect_mistake("credentials", "credential", "a:b=c", "neither");
	expect_mistake("credentials", "credential", "a b=c", "neither");
	expect_mistake("credentials", "credential", "a\xc3\xbf=c", "ASCII");
	expect_mistake("credentials", "credential", "..=c", "that is no name");
	expect_mistake("credentials", "credential", "vmm.notify_socket=vsock:2:9",
		       "give it one ('--vsock auto')");
}

Test(identity, a_notify_socket_is_fine_where_the_guest_has_a_vsock)
{
	config.vsock.given = true;
	set("credentials", "credential", "vmm.notify_socket=vsock:2:9");
	create();
}

Test(identity, more_than_the_tables_hold_is_refused_at_the_larger_section)
{
	static char pair[SMBIOS_OEM_SIZE + 1];

	memset(pair, 'x', sizeof(pair) - 1);
	expect_mistake("smbios", "oem_strings", pair, "are too many");
}

Test(identity, texts_are_short_and_printable)
{
	char text[SMBIOS_TEXT_MAX + 2];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	expect_mistake("smbios", "serial", text, "256 characters are too many");
	expect_mistake("smbios", "family", "a\tb", "printable");
	expect_mistake("smbios", "oem_strings", "a\nb", "printable");
	expect_mistake("smbios", "oem_strings", "", "a text is empty");
}

Test(identity, a_uuid_is_read_or_refused)
{
	static const uint8_t uuid[16] = { 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
					  0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF };

	set("smbios", "uuid", "01234567-89ab-cdef-0123-456789ABCDEF");
	create();
	cr_expect_arr_eq(smbios.uuid, uuid, 16);
	identity_destroy(&identity);
	expect_mistake("smbios", "uuid", "0123456789abcdef0123456789abcdef", "is no UUID like");
	expect_mistake("smbios", "uuid", "01234567-89ab-cdef-0123-456789abcdeg", "is no UUID");
	expect_mistake("smbios", "uuid", "01234567-89ab-cdef-0123-456789abcdef0", "is no UUID");
	expect_mistake("smbios", "uuid", "01234567089ab-cdef-0123-456789abcdef", "is no UUID");
	expect_mistake("smbios", "uuid", "\x10" "1234567-89ab-cdef-0123-456789abcdef", "no UUID");
}

Test(identity, the_name_of_the_vm_file_makes_a_uuid)
{
	static const uint8_t none[16];
	uint8_t uuid[16], again[16], other[16];
	char name[IDENTITY_NAME_SIZE];

	identity_uuid(&config, uuid);
	cr_expect_arr_eq(uuid, none, 16);
	cr_assert_not_null(origins_add_file(&config.origins, "/srv/vms/web.yaml", NULL));
	cr_expect_str_eq(identity_name(&config, name), "web");
	identity_uuid(&config, uuid);
	identity_uuid(&config, again);
	cr_expect_arr_eq(uuid, again, 16);
	cr_expect_eq(uuid[6] >> 4, 8);
	cr_expect_eq(uuid[8] >> 6, 2);
	config_fini(&config);
	setup();
	cr_assert_not_null(origins_add_file(&config.origins, "wea.yaml", NULL));
	identity_uuid(&config, other);
	cr_expect_arr_neq(uuid, other, 16);
}
