#include "vmm/identity.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/error.h"
#include "vmm/config_mistake.h"
#include "vmm/machine/smbios.h"
#include "vmm/version.h"

enum { UUID_LEN = 36, CREDENTIAL_NAME_MAX = 255 };

#define CREDENTIAL_PREFIX "io.systemd.credential:"
#define BINARY_PREFIX "io.systemd.credential.binary:"

/* --- Name and UUID --------------------------------------------------------------------------- */

/* That of the VM file, without its folder and ending: a long one is cut. */
const char *identity_name(const struct vm_config *config, char name[IDENTITY_NAME_SIZE])
{
	const char *file = config->origins.n_files ? config->origins.file[0]->name : "";
	const char *slash = strrchr(file, '/');
	char *dot;

	if (config->name) {
		snprintf(name, IDENTITY_NAME_SIZE, "%s", config->name);
		return name;
	}
	snprintf(name, IDENTITY_NAME_SIZE, "%s", slash ? slash + 1 : file);
	dot = strrchr(name, '.');
	if (dot && dot != name)
		*dot = '\0';
	return name;
}

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdefABCDEF";
	const char *at = c ? strchr(digits, c) : NULL;
	int value = at ? (int)(at - digits) : -1;

	return value < 16 ? value : value - 6;
}

/* "01234567-89ab-cdef-0123-456789abcdef" */
static bool parse_uuid(const char *text, uint8_t uuid[16])
{
	unsigned n = 0;

	if (strlen(text) != UUID_LEN)
		return false;
	for (unsigned i = 0; i < UUID_LEN; i++) {
		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (text[i] != '-')
				return false;
			continue;
		}
		int digit = hex_digit(text[i]);
		if (digit < 0)
			return false;
		uuid[n / 2] = (uint8_t)(n % 2 ? uuid[n / 2] << 4 | digit : digit);
		n++;
	}
	return true;
}

/* FNV-1a, with its bits mixed: names of one letter shall differ in more than one byte. */
static uint64_t hash_name(const char *name, uint64_t seed)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ seed;

	for (; *name; name++)
		hash = (hash ^ (uint8_t)*name) * UINT64_C(0x100000001b3);
	hash = (hash ^ hash >> 33) * UINT64_C(0xff51afd7ed558ccd);
	return hash ^ hash >> 29;
}

/* Version 8 of RFC 9562: one that is made in a way of its maker's own. */
static void uuid_of_name(const char *name, uint8_t uuid[16])
{
	uint64_t half[2] = { hash_name(name, 0), hash_name(name, UINT64_C(0x5669726f)) };

	for (unsigned i = 0; i < 16; i++)
		uuid[i] = (uint8_t)(half[i / 8] >> 8 * (i % 8));
	uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x80);
	uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
}

void identity_uuid(const struct vm_config *config, uint8_t uuid[16])
{
	char name[IDENTITY_NAME_SIZE];

	memset(uuid, 0, 16);
	if (config->smbios.uuid)
		parse_uuid(config->smbios.uuid, uuid);
	else if (*identity_name(config, name))
		uuid_of_name(name, uuid);
}

/* --- Mistakes -------------------------------------------------------------------------------- */

/* What goes into an SMBIOS string as it is. */
static bool is_plain(const char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			return false;
	return true;
}

static void validate_text(const struct vm_config *config, struct mistakes *mistakes,
			  const char *key, const char *text)
{
	if (!text)
		return;
	if (!is_plain(text))
		config_mistake(config, mistakes, "smbios", 0, key,
			       "only the printable characters of ASCII can stand there");
	else if (strlen(text) > SMBIOS_TEXT_MAX)
		config_mistake(config, mistakes, "smbios", 0, key,
			       "%zu characters are too many: %d is the most", strlen(text),
			       SMBIOS_TEXT_MAX);
}

/* As systemd has it: the name of a file, and of a descriptor. */
static const char *credential_problem(const char *name, size_t len)
{
	if (len > CREDENTIAL_NAME_MAX)
		return "its name is longer than 255 characters";
	if ((len == 1 && name[0] == '.') || (len == 2 && !memcmp(name, "..", 2)))
		return "that is no name";
	for (size_t i = 0; i < len; i++)
		if (name[i] <= ' ' || name[i] > '~' || name[i] == '/' || name[i] == ':')
			return "a name has neither '/' nor ':' nor spaces, and only ASCII";
	return NULL;
}

static size_t credential_size(const char *pair)
{
	size_t name = strcspn(pair, "="), value = strlen(pair + name + 1);

	if (is_plain(pair))
		return sizeof(CREDENTIAL_PREFIX) + name + 1 + value;
	return sizeof(BINARY_PREFIX) + name + 1 + (value + 2) / 3 * 4;
}

static size_t validate_credentials(const struct vm_config *config, struct mistakes *mistakes)
{
	size_t size = 0;

	for (unsigned i = 0; i < config->credentials.n; i++) {
		const char *pair = config->credentials.item[i], *problem;
		size_t len = strcspn(pair, "=");

		problem = credential_problem(pair, len);
		if (problem)
			config_mistake(config, mistakes, "credentials", 0, NULL, "'%.*s': %s",
				       (int)min_u64(len, 80), pair, problem);
		if (!strncmp(pair, "vmm.notify_socket=vsock", 23) && !config->vsock.given)
			config_mistake(config, mistakes, "credentials", 0, NULL,
				       "'vmm.notify_socket' is a vsock, and the guest has none: "
				       "give it one ('--vsock auto')");
		size += credential_size(pair);
	}
	return size;
}

static size_t validate_oem_strings(const struct vm_config *config, struct mistakes *mistakes)
{
	const struct text_list *list = &config->smbios.oem_strings;
	size_t size = 0;

	for (unsigned i = 0; i < list->n; i++) {
		if (!*list->item[i])
			config_mistake(config, mistakes, "smbios", 0, "oem_strings",
				       "a text is empty");
		else if (!is_plain(list->item[i]))
			config_mistake(config, mistakes, "smbios", 0, "oem_strings",
				       "only the printable characters of ASCII can stand there; "
				       "'credentials' takes any bytes");
		size += strlen(list->item[i]) + 1;
	}
	return size;
}

void identity_validate(const struct vm_config *config, struct mistakes *mistakes)
{
	const struct smbios_settings *s = &config->smbios;
	size_t credentials, strings;
	uint8_t uuid[16];

	validate_text(config, mistakes, "manufacturer", s->manufacturer);
	validate_text(config, mistakes, "product", s->product);
	validate_text(config, mistakes, "version", s->version);
	validate_text(config, mistakes, "serial", s->serial);
	validate_text(config, mistakes, "sku", s->sku);
	validate_text(config, mistakes, "family", s->family);
	if (s->uuid && !parse_uuid(s->uuid, uuid))
		config_mistake(config, mistakes, "smbios", 0, "uuid",
			       "'%.80s' is no UUID like 01234567-89ab-cdef-0123-456789abcdef",
			       s->uuid);
	credentials = validate_credentials(config, mistakes);
	strings = validate_oem_strings(config, mistakes);
	if (credentials + strings > SMBIOS_OEM_SIZE)
		config_mistake(config, mistakes, credentials > strings ? "credentials" : "smbios",
			       0, credentials > strings ? NULL : "oem_strings",
			       "%zu bytes of credentials and OEM strings are too many: a guest's "
			       "tables take %d; larger ones go onto a disk", credentials + strings,
			       SMBIOS_OEM_SIZE);
}

/* --- What the machine gets ------------------------------------------------------------------- */

/* Base64 (RFC 4648, 4) of a text, and a NUL, to 'out'. */
static void encode(char *out, const char *text)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const uint8_t *p = (const uint8_t *)text;

	for (size_t left = strlen(text); left > 0; p += 3) {
		size_t n = left < 3 ? left : 3;
		uint32_t v = (uint32_t)p[0] << 16 | (n > 1 ? (uint32_t)p[1] << 8 : 0) |
			     (n > 2 ? p[2] : 0);

		*out++ = digits[v >> 18];
		*out++ = digits[v >> 12 & 63];
		*out++ = n > 1 ? digits[v >> 6 & 63] : '=';
		*out++ = n > 2 ? digits[v & 63] : '=';
		left -= n;
	}
	*out = '\0';
}

static char *credential_string(const char *pair)
{
	size_t size = credential_size(pair), name = strcspn(pair, "=") + 1;
	char *string = malloc(size);
	int len;

	if (!string)
		return NULL;
	if (is_plain(pair)) {
		snprintf(string, size, CREDENTIAL_PREFIX "%s", pair);
		return string;
	}
	len = snprintf(string, size, BINARY_PREFIX "%.*s", (int)name, pair);
	encode(string + len, pair + name);
	return string;
}

static int add_strings(struct identity *identity, const struct text_list *list,
		       char *(*make)(const char *text))
{
	for (unsigned i = 0; i < list->n; i++) {
		char *string = make(list->item[i]);
		if (!string)
			return -ENOMEM;
		identity->oem_string[identity->n_oem_strings++] = string;
	}
	return 0;
}

static char *copy_text(const char *text)
{
	return strdup(text);
}

int identity_create(struct identity *identity, const struct vm_config *config,
		    struct smbios_config *smbios)
{
	const struct smbios_settings *s = &config->smbios;
	size_t n = (size_t)config->credentials.n + s->oem_strings.n;
	int r = 0;

	*identity = (struct identity){ .oem_string = calloc(n + 1, sizeof(char *)) };
	if (identity->oem_string)
		r = add_strings(identity, &s->oem_strings, copy_text);
	if (r == 0 && identity->oem_string)
		r = add_strings(identity, &config->credentials, credential_string);
	if (r < 0 || !identity->oem_string) {
		identity_destroy(identity);
		return error_set(ENOMEM, "write the SMBIOS strings");
	}
	smbios->manufacturer = s->manufacturer;
	smbios->product = s->product;
	smbios->version = s->version;
	smbios->serial = s->serial;
	smbios->sku = s->sku;
	smbios->family = s->family;
	smbios->firmware_version = VIREO_VERSION;
	identity_uuid(config, smbios->uuid);
	smbios->oem_string = (const char *const *)identity->oem_string;
	smbios->n_oem_strings = identity->n_oem_strings;
	return 0;
}

void identity_destroy(struct identity *identity)
{
	while (identity->n_oem_strings > 0)
		free(identity->oem_string[--identity->n_oem_strings]);
	free(identity->oem_string);
	identity->oem_string = NULL;
}
