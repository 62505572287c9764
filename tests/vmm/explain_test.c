/* What people and programs are told about devices; both are made from the same accounts. */
#include "vmm/explain.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/error.h"

#if HAVE_JANSSON
#include <jansson.h>
#endif

static struct feature_account bit_of(unsigned device, unsigned bit)
{
	return (struct feature_account){
		.bit = bit,
		.info = feature_info((enum feature_bit)bit, device),
		.model = bit < 24,
		.backend = bit >= 24,
		.interfaces = FEATURE_ON_PCI | FEATURE_ON_PCI_LEGACY,
		.modern_needs = FEATURE_NONE,
		.legacy_needs = FEATURE_NONE,
		.n_parts = 1,
	};
}

/* A disk whose modern driver took FLUSH, left DISCARD, and broke two rules. */
static struct device_account sample(void)
{
	struct device_account d = {
		.name = "disk0",
		.id = VIRTIO_ID_BLOCK,
		.transport = VIRTIO_PCI_TRANSITIONAL,
		.runs = true,
		.status = 15,
		.has_session = true,
		.n_sessions = 2,
		.refusal = "VIRTIO_F_VERSION_1 is required",
		.n_parts = 1,
		.part[0].n_queues = 1,
	};
	static const unsigned bit[] = {
		VIRTIO_BLK_F_FLUSH, VIRTIO_BLK_F_DISCARD, VIRTIO_F_INDIRECT_DESC,
		VIRTIO_F_VERSION_1, VIRTIO_F_RING_PACKED,
	};

	for (unsigned i = 0; i < ARRAY_SIZE(bit); i++) {
		d.bit[i] = bit_of(VIRTIO_ID_BLOCK, bit[i]);
		d.bit[i].answer = FEATURE_LEFT;
		d.bit[i].started = true;
	}
	d.n_bits = ARRAY_SIZE(bit);
	d.bit[0].answer = FEATURE_TAKEN;
	d.bit[0].told[0] = true;
	d.bit[2].wish = FEATURE_FORBIDDEN;
	d.bit[2].modern = d.bit[2].legacy = FEATURE_SWITCHED_OFF;
	d.bit[3].answer = FEATURE_TAKEN;
	d.bit[3].told[0] = true;
	d.bit[3].legacy = FEATURE_NOT_HERE;
	d.bit[4].backend = false;
	d.bit[4].modern = FEATURE_NOT_IN_BACKEND;
	d.bit[4].legacy = FEATURE_NOT_HERE;
	d.mistakes.n[MISTAKE_KICK_BEFORE_DRIVER_OK] = 3;
	d.mistakes.n[MISTAKE_RING_LOOP] = 1;
	return d;
}

static char *write(enum explain_form form, const struct device_account *d, unsigned n)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	cr_assert_not_null(out);
	cr_assert_eq(explain_write(out, form, d, n), 0, "%s", error_text());
	fclose(out);
	return text;
}

Test(explain, text_is_for_people)
{
	static const char expected[] =
		"\ndisk0: virtio block device (type 2) over pci-transitional\n"
		"  status: ACKNOWLEDGE DRIVER DRIVER_OK FEATURES_OK\n"
		"  driver: a modern one; session 2 since power-on\n"
		"  last refusal of a driver's features: VIRTIO_F_VERSION_1 is required\n"
		"  bit feature              owner     has ask offer  taken told why not\n"
		"    9 FLUSH                device    yes     both   yes   yes\n"
		"   13 DISCARD              device    yes     both   no    -    the driver did not take it\n"
		"   28 INDIRECT_DESC        ring      yes  -  no     no    -    switched off by the "
		"configuration\n"
		"   32 VERSION_1            ring      yes     modern yes   yes\n"
		"   34 RING_PACKED          ring      no      no     no    -    the back end does not "
		"serve it\n"
		"  mistakes of its driver (in brackets: section of virtio-v1.4):\n"
		"      3 kick-before-driver-ok: kicked before DRIVER_OK [3.1.1]\n"
		"      1 ring-loop: made a chain longer than the queue, or a loop [2.7.5.3.1]\n";
	struct device_account d = sample();
	char *text = write(EXPLAIN_TEXT, &d, 1);

	cr_expect_str_eq(strstr(text, "\ndisk0"), expected, "%s", text);
	free(text);
}

Test(explain, a_device_that_does_not_run_has_no_history)
{
	struct device_account d = sample();

	d.runs = false;
	char *text = write(EXPLAIN_TEXT, &d, 1);
	cr_expect_null(strstr(text, "status:"));
	cr_expect_null(strstr(text, "mistakes"));
	cr_expect_null(strstr(text, "taken"));
	cr_expect_not_null(strstr(text, "\n    9 FLUSH                device    yes     both\n"));
	cr_expect_not_null(strstr(text, " 28 INDIRECT_DESC        ring      yes  -  no     "
					"switched off by the configuration\n"));
	free(text);
}

/* Said once above the table, not in each of its lines. */
Test(explain, without_a_driver_offered_bits_need_no_reason)
{
	struct device_account d = sample();

	d.has_session = false;
	d.n_sessions = 0;
	d.status = 0;
	for (unsigned i = 0; i < d.n_bits; i++)
		d.bit[i].answer = FEATURE_NO_DRIVER;
	char *text = write(EXPLAIN_TEXT, &d, 1);
	cr_expect_not_null(strstr(text, "\n  driver: none so far\n"));
	cr_expect_null(strstr(text, "no driver yet"));
	cr_expect_not_null(strstr(text, "    9 FLUSH                device    yes     both   -     -\n"));
	cr_expect_not_null(strstr(text, "no     -     -    switched off"));
	free(text);
}

/* Whatever the account holds: a terminal of 100 columns is wide enough. */
Test(explain, no_line_is_wider_than_100_columns)
{
	static const unsigned device[] = { VIRTIO_ID_NET, VIRTIO_ID_BLOCK, VIRTIO_ID_BALLOON };
	struct device_account d = sample();
	char *text;

	for (unsigned i = 0; i < DRIVER_MISTAKE_KINDS; i++)
		d.mistakes.n[i] = 1234567;
	for (unsigned t = 0; t < ARRAY_SIZE(device); t++) {
		for (int verdict = FEATURE_OFFERED; verdict <= FEATURE_NEEDS_MISSING; verdict++) {
			d.n_bits = 0;
			for (unsigned bit = 0; bit < FEATURES_BITS; bit++) {
				struct feature_account a = bit_of(device[t], bit);
				a.modern = a.legacy = (enum feature_verdict)verdict;
				a.answer = (enum feature_answer)(bit % 4);
				if (a.info)
					a.modern_needs = a.info->needs;
				if (a.info || verdict == FEATURE_UNKNOWN)
					d.bit[d.n_bits++] = a;
			}
			text = write(EXPLAIN_TEXT, &d, 1);
			for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
				cr_expect_leq(strlen(line), 100, "%s", line);
			free(text);
		}
	}
}

Test(explain, parts_are_told_one_by_one)
{
	struct device_account d = sample();

	d.n_parts = 2;
	d.part[1].first_queue = 2;
	d.part[1].n_queues = 1;
	for (unsigned i = 0; i < d.n_bits; i++)
		d.bit[i].n_parts = 2;
	char *text = write(EXPLAIN_TEXT, &d, 1);
	cr_expect_not_null(strstr(text, "part 1 of the back end: 1 queues from queue 2 on"));
	cr_expect_not_null(strstr(text, "yes   y/n  part 1 need not know"));
	free(text);
}

Test(explain, mistakes_are_counted_and_reported)
{
	struct device_account d[2] = { sample(), sample() };
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	d[1].mistakes = (struct driver_mistakes){ 0 };
	cr_expect_eq(explain_report_mistakes(out, d, 2, false), 4);
	fflush(out);
	cr_expect_not_null(strstr(text, "vireo: the driver of 'disk0' made 4 mistakes"));
	cr_expect_not_null(strstr(text, "ring-loop"));
	cr_expect_eq(explain_report_mistakes(out, d + 1, 1, false), 0);
	fflush(out);
	cr_expect_not_null(strstr(text, "vireo: strict driver: no mistakes\n"));
	fflush(out);
	size_t before = len;
	cr_expect_eq(explain_report_mistakes(out, d + 1, 1, true), 0);
	fclose(out);
	cr_expect_eq(len, before, "quiet");
	free(text);
}

#if HAVE_JANSSON

static json_t *parse(const struct device_account *d, unsigned n)
{
	json_error_t error;
	char *text = write(EXPLAIN_JSON, d, n);
	json_t *top = json_loads(text, JSON_REJECT_DUPLICATES, &error);

	cr_assert_not_null(top, "%s in %s", error.text, text);
	free(text);
	return top;
}

static const char *string(json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	cr_assert_not_null(s, "%s", key);
	return s;
}

Test(explain, json_has_the_same_facts)
{
	struct device_account d = sample();
	json_t *top = parse(&d, 1);
	json_t *device = json_array_get(json_object_get(top, "devices"), 0), *value;
	json_t *features = json_object_get(device, "features");
	char reason[64];

	cr_expect_str_eq(string(device, "name"), "disk0");
	cr_expect_str_eq(string(device, "over"), "pci-transitional");
	cr_expect_eq(json_integer_value(json_object_get(device, "type")), 2);
	cr_expect_eq(json_array_size(json_object_get(device, "status_names")), 4);
	cr_expect_str_eq(string(device, "last_refusal"), d.refusal);
	value = json_object_get(device, "session");
	cr_expect_str_eq(string(value, "kind"), "modern");
	cr_expect_eq(json_integer_value(json_object_get(value, "count")), 2);

	cr_assert_eq(json_array_size(features), d.n_bits);
	for (unsigned i = 0; i < d.n_bits; i++) {
		const struct feature_account *a = &d.bit[i];
		json_t *f = json_array_get(features, i);
		json_t *at = json_object_get(f, "interfaces");

		cr_expect_eq(json_integer_value(json_object_get(f, "bit")), a->bit);
		cr_expect_str_eq(string(f, "name"), a->info->name);
		cr_expect_str_eq(string(f, "owner"), feature_owner_name(a->info->owner));
		cr_expect_str_eq(string(f, "reason"), feature_account_reason(a, reason));
		cr_expect_eq(json_is_true(json_object_get(f, "accepted")),
			     a->answer == FEATURE_TAKEN);
		cr_expect_eq(json_is_true(json_object_get(json_object_get(at, "modern"), "offered")),
			     feature_account_is_offered(a));
		cr_expect_eq(json_is_true(json_object_get(json_object_get(at, "legacy"), "offered")),
			     feature_account_is_offered_legacy(a));
	}
	cr_expect_str_eq(string(json_array_get(features, 2), "configuration"), "off");
	cr_expect(json_is_null(json_object_get(json_array_get(features, 0), "configuration")));

	value = json_array_get(json_object_get(device, "mistakes"), 0);
	cr_expect_str_eq(string(value, "kind"), "kick-before-driver-ok");
	cr_expect_eq(json_integer_value(json_object_get(value, "count")), 3);
	cr_expect_str_eq(string(value, "section"), "3.1.1");
	json_decref(top);
}

Test(explain, json_is_valid_whatever_a_device_is_called)
{
	struct device_account d = sample();
	json_t *top;

	snprintf(d.name, sizeof(d.name), "a\"b\n\xff\\");
	top = parse(&d, 1);
	cr_expect_str_eq(string(json_array_get(json_object_get(top, "devices"), 0), "name"),
			 "a\"b\n?\\");
	json_decref(top);
	top = parse(&d, 0);
	cr_expect_eq(json_array_size(json_object_get(top, "devices")), 0);
	json_decref(top);
}

#else

Test(explain, without_jansson_that_is_said)
{
	struct device_account d = sample();

	cr_expect_eq(explain_check(EXPLAIN_JSON), -EOPNOTSUPP);
	cr_expect_not_null(strstr(error_text(), "libjansson"));
	cr_expect_eq(explain_write(stderr, EXPLAIN_JSON, &d, 1), -EOPNOTSUPP);
	cr_expect_eq(explain_check(EXPLAIN_TEXT), 0);
}

#endif
