/* The account of devices as people read it: at most 100 columns, a line for each bit. */
#include <inttypes.h>
#include <string.h>

#include "virtio/feature_names.h"
#include "vmm/explain.h"

static const char legend[] =
	"Feature bits of each virtio device.  The columns:\n"
	"  owner    which part of Vireo answers for the bit; ring: the back end, who moves data\n"
	"  has      that part can do it\n"
	"  ask      the configuration demands (+) or forbids (-) it\n"
	"  offer    a driver sees it; of a device with two register interfaces: at which\n";
static const char legend_of_run[] =
	"  taken    the driver accepted it; told: the back end was told so (-: no driver so far)\n";
static const char legend_end[] =
	"  why not  the reason for the first 'no'\n"
	"Bits that nobody has, asks for or took are left out.\n";

static const char *yes_no(bool yes)
{
	return yes ? "yes" : "no";
}

static const char *offer_text(const struct feature_account *a)
{
	bool modern = feature_account_is_offered(a), legacy = feature_account_is_offered_legacy(a);

	if (!(a->interfaces & FEATURE_MODERN) || !(a->interfaces & FEATURE_LEGACY))
		return yes_no(modern || legacy);
	return modern && legacy ? "both" : modern ? "modern" : legacy ? "legacy" : "no";
}

static const char *taken_text(const struct feature_account *a)
{
	switch (a->answer) {
	case FEATURE_TAKEN: return "yes";
	case FEATURE_LEFT: return "no";
	case FEATURE_NO_DRIVER:
	case FEATURE_UNDECIDED: break;
	}
	return "-";
}

/* With several parts what each was told: "y/n". */
static const char *told_text(const struct feature_account *a, char buf[2 * VIRTIO_MAX_PARTS])
{
	if (a->answer != FEATURE_TAKEN)
		return "-";
	if (a->n_parts == 1)
		return yes_no(a->told[0]);
	for (unsigned i = 0; i < a->n_parts; i++) {
		buf[2 * i] = a->told[i] ? 'y' : 'n';
		buf[2 * i + 1] = i + 1 < a->n_parts ? '/' : '\0';
	}
	return buf;
}

/* What a driver made of the bit, and where the bit got stuck. */
static void put_way(FILE *out, const struct feature_account *a)
{
	char reason[64] = "", told[2 * VIRTIO_MAX_PARTS] = "";
	bool offered = feature_account_is_offered(a) || feature_account_is_offered_legacy(a);

	/* That there is no driver is said once, above. */
	if (!offered || a->answer == FEATURE_TAKEN || a->answer == FEATURE_LEFT)
		feature_account_reason(a, reason);
	fprintf(out, " %-5s ", taken_text(a));
	if (reason[0])
		fprintf(out, "%-4s %s\n", told_text(a, told), reason);
	else
		fprintf(out, "%s\n", told_text(a, told));
}

static void put_bit(FILE *out, const struct feature_account *a, bool runs)
{
	static const char *const ask[] = {
		[FEATURE_NO_WISH] = "", [FEATURE_DEMANDED] = "+", [FEATURE_FORBIDDEN] = "-",
	};
	const char *offer = offer_text(a);
	char reason[64];

	fprintf(out, "%5u %-20s %-9s %-3s  %-2s ", a->bit,
		a->info ? feature_short_name(a->info) : "?",
		a->info ? feature_owner_name(a->info->owner) : "nobody",
		yes_no(feature_account_has(a)), ask[a->wish]);
	if (runs) {
		fprintf(out, "%-6s", offer);
		put_way(out, a);
	} else if (!strcmp(offer, "no")) {
		fprintf(out, "%-6s %s\n", offer, feature_account_reason(a, reason));
	} else {
		fprintf(out, "%s\n", offer);
	}
}

static void put_status(FILE *out, uint8_t status)
{
	fputs("  status:", out);
	if (status == 0)
		fputs(" reset", out);
	for (unsigned bit = 1; bit <= UINT8_MAX; bit <<= 1) {
		const char *name = device_status_name((uint8_t)bit);
		if (!(status & bit))
			continue;
		if (name)
			fprintf(out, " %s", name);
		else
			fprintf(out, " 0x%02x", bit);
	}
	fputc('\n', out);
}

static void put_driver(FILE *out, const struct device_account *d)
{
	const char *kind = d->legacy_driver ? "legacy" : "modern";

	fputs("  driver: ", out);
	if (d->n_sessions == 0)
		fputs(d->status ? "it has not settled its features yet\n" : "none so far\n", out);
	else if (d->has_session)
		fprintf(out, "a %s one; session %" PRIu32 " since power-on\n", kind, d->n_sessions);
	else
		fprintf(out, "none now; shown is the last one, a %s one; session %" PRIu32
			     " since power-on\n",
			kind, d->n_sessions);
	if (d->refusal[0])
		fprintf(out, "  last refusal of a driver's features: %s\n", d->refusal);
}

/* "      3 kick-no-queue: kicked a queue that ... [4.1.5.2]" */
static void put_mistakes(FILE *out, const struct driver_mistakes *mistakes)
{
	for (unsigned i = 0; i < DRIVER_MISTAKE_KINDS; i++)
		if (mistakes->n[i])
			fprintf(out, "%7" PRIu32 " %s: %s [%s]\n", mistakes->n[i],
				driver_mistake_name((enum driver_mistake)i),
				driver_mistake_text((enum driver_mistake)i),
				driver_mistake_section((enum driver_mistake)i));
}

/* The bits of a word by number: what another said is best compared with his own documents. */
static void put_numbers(FILE *out, struct features f)
{
	for (unsigned bit = 0; bit < FEATURES_BITS; bit++)
		if (features_has(&f, bit))
			fprintf(out, " %u", bit);
}

/* Who moves the buffers; of what this process does alone there is nothing to tell. */
static void put_part(FILE *out, const struct device_account *d, unsigned i)
{
	const struct datapath_account *more = &d->part[i].more;
	const char *other = d->part[i].other;

	if (d->n_parts > 1)
		fprintf(out, "  part %u of the back end: %u queues from queue %u on\n", i,
			d->part[i].n_queues, d->part[i].first_queue);
	if (!more->says && !other[0])
		return;
	fprintf(out, "  buffers are moved: %s%s%s%s\n", d->part[i].datapath,
		other[0] ? " (or, if that must be: " : "", other, other[0] ? ")" : "");
	if (!more->says)
		return;
	fputs("  its features, by number:", out);
	put_numbers(out, more->said);
	fputc('\n', out);
	if (more->n_workers > 0)
		fputs("  threads of the host that serve it:", out);
	for (unsigned k = 0; k < more->n_workers; k++)
		fprintf(out, " %d", more->worker[k]);
	if (more->n_workers > 0)
		fputc('\n', out);
}

static void put_device(FILE *out, const struct device_account *d)
{
	fprintf(out, "\n%s: virtio %s (type %d) over %s\n", d->name, device_type_name(d->id),
		(int)d->id, virtio_transport_name(d->transport));
	if (d->runs) {
		put_status(out, d->status);
		put_driver(out, d);
	}
	for (unsigned i = 0; i < d->n_parts; i++)
		put_part(out, d, i);
	fprintf(out, "  bit %-20s %-9s has ask offer  %swhy not\n", "feature", "owner",
		d->runs ? "taken told " : "");
	for (unsigned i = 0; i < d->n_bits; i++)
		put_bit(out, &d->bit[i], d->runs);
	if (!d->runs)
		return;
	if (driver_mistakes_total(&d->mistakes) > 0)
		fprintf(out, "  mistakes of its driver (in brackets: section of virtio-v1.4):\n");
	else
		fprintf(out, "  mistakes of its driver: none%s\n",
			d->strict ? "" : " seen (without --strict-driver not all are)");
	put_mistakes(out, &d->mistakes);
}

uint64_t explain_report_mistakes(FILE *out, const struct device_account *device, unsigned n,
				 bool quiet)
{
	uint64_t all = 0;

	for (unsigned i = 0; i < n; i++) {
		uint64_t total = driver_mistakes_total(&device[i].mistakes);
		if (total == 0)
			continue;
		fprintf(out, "vireo: the driver of '%s' made %" PRIu64 " mistake%s "
			     "(in brackets: section of virtio-v1.4):\n",
			device[i].name, total, total == 1 ? "" : "s");
		put_mistakes(out, &device[i].mistakes);
		all += total;
	}
	if (all == 0 && !quiet)
		fprintf(out, "vireo: strict driver: no mistakes\n");
	return all;
}

void explain_write_text(FILE *out, const struct device_account *device, unsigned n)
{
	if (n == 0)
		fputs("There are no virtio devices.\n", out);
	else
		fprintf(out, "%s%s%s", legend, device[0].runs ? legend_of_run : "", legend_end);
	for (unsigned i = 0; i < n; i++)
		put_device(out, &device[i]);
}
