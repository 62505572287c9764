/*
 * The account of devices as programs read it.  What has no answer yet is null, what does not exist
 * is not there.
 */
#include <errno.h>

#include "vmm/base/error.h"
#include "vmm/explain.h"

#if HAVE_JANSSON

#include <jansson.h>
#include <string.h>

/* A member that could not be made is missing, and 'lost' says that it is. */
struct writer {
	bool lost;
};

static void put(struct writer *w, json_t *object, const char *key, json_t *value)
{
	if (!value || json_object_set_new(object, key, value) < 0)
		w->lost = true;
}

static void append(struct writer *w, json_t *array, json_t *value)
{
	if (!value || json_array_append_new(array, value) < 0)
		w->lost = true;
}

/* Names come from the user and may hold bytes that are no UTF-8. */
static json_t *text(const char *s)
{
	char plain[256];
	json_t *value = json_string(s);

	if (value)
		return value;
	snprintf(plain, sizeof(plain), "%s", s);
	for (char *p = plain; *p; p++)
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	return json_string(plain);
}

static json_t *wish(enum feature_wish wish)
{
	return wish == FEATURE_NO_WISH ? json_null() :
					 json_string(wish == FEATURE_DEMANDED ? "on" : "off");
}

static json_t *told(struct writer *w, const struct feature_account *a)
{
	json_t *array = json_array();

	for (unsigned i = 0; i < a->n_parts; i++)
		append(w, array, json_boolean(a->told[i]));
	return array;
}

static json_t *one_offer(struct writer *w, bool offered, enum feature_verdict verdict)
{
	json_t *o = json_object();

	put(w, o, "offered", json_boolean(offered));
	put(w, o, "because", json_string(feature_verdict_text(verdict)));
	return o;
}

static json_t *feature(struct writer *w, const struct feature_account *a)
{
	json_t *o = json_object(), *offer = json_object();
	char name[24], reason[64];
	bool answered = a->answer == FEATURE_LEFT || a->answer == FEATURE_TAKEN;

	snprintf(name, sizeof(name), "bit %u", a->bit);
	put(w, o, "bit", json_integer(a->bit));
	put(w, o, "name", json_string(a->info ? a->info->name : name));
	put(w, o, "owner", a->info ? json_string(feature_owner_name(a->info->owner)) : json_null());
	put(w, o, "model", json_boolean(a->model));
	put(w, o, "backend", json_boolean(a->backend));
	put(w, o, "transport", json_boolean(a->transport));
	put(w, o, "has", json_boolean(feature_account_has(a)));
	put(w, o, "configuration", wish(a->wish));
	if (a->interfaces & FEATURE_MODERN)
		put(w, offer, "modern", one_offer(w, feature_account_is_offered(a), a->modern));
	if (a->interfaces & FEATURE_LEGACY)
		put(w, offer, "legacy",
		    one_offer(w, feature_account_is_offered_legacy(a), a->legacy));
	put(w, o, "interfaces", offer);
	put(w, o, "accepted", answered ? json_boolean(a->answer == FEATURE_TAKEN) : json_null());
	put(w, o, "told", a->answer == FEATURE_TAKEN ? told(w, a) : json_null());
	put(w, o, "reason", json_string(feature_account_reason(a, reason)));
	return o;
}

static json_t *status_names(struct writer *w, uint8_t status)
{
	json_t *array = json_array();

	for (unsigned bit = 1; bit <= UINT8_MAX; bit <<= 1) {
		const char *name = device_status_name((uint8_t)bit);
		if (status & bit)
			append(w, array, json_string(name ? name : "?"));
	}
	return array;
}

static json_t *mistakes(struct writer *w, const struct driver_mistakes *m)
{
	json_t *array = json_array();

	for (unsigned i = 0; i < DRIVER_MISTAKE_KINDS; i++) {
		enum driver_mistake kind = (enum driver_mistake)i;
		if (m->n[i] == 0)
			continue;
		json_t *o = json_object();
		put(w, o, "kind", json_string(driver_mistake_name(kind)));
		put(w, o, "count", json_integer(m->n[i]));
		put(w, o, "text", json_string(driver_mistake_text(kind)));
		put(w, o, "section", json_string(driver_mistake_section(kind)));
		append(w, array, o);
	}
	return array;
}

static void put_session(struct writer *w, json_t *o, const struct device_account *d)
{
	json_t *session = json_object();

	put(w, session, "now", json_boolean(d->has_session));
	put(w, session, "kind", d->n_sessions == 0 ? json_null() :
				json_string(d->legacy_driver ? "legacy" : "modern"));
	put(w, session, "count", json_integer(d->n_sessions));
	put(w, o, "status", json_integer(d->status));
	put(w, o, "status_names", status_names(w, d->status));
	put(w, o, "session", session);
	put(w, o, "last_refusal", d->refusal[0] ? json_string(d->refusal) : json_null());
	put(w, o, "strict_driver", json_boolean(d->strict));
	put(w, o, "mistakes", mistakes(w, &d->mistakes));
}

static void put_datapath(struct writer *w, json_t *part, const struct device_account *d, unsigned i)
{
	const struct datapath_account *more = &d->part[i].more;
	json_t *bits = json_array(), *threads = json_array();

	put(w, part, "datapath", text(d->part[i].datapath));
	put(w, part, "other", d->part[i].other[0] ? text(d->part[i].other) : json_null());
	for (unsigned bit = 0; bit < FEATURES_BITS; bit++)
		if (features_has(&more->said, bit))
			append(w, bits, json_integer(bit));
	for (unsigned k = 0; k < more->n_workers; k++)
		append(w, threads, json_integer(more->worker[k]));
	put(w, part, "its_features", bits);
	put(w, part, "host_threads", threads);
}

static json_t *device_object(struct writer *w, const struct device_account *d)
{
	json_t *o = json_object(), *parts = json_array(), *features = json_array();

	put(w, o, "name", text(d->name));
	put(w, o, "type", json_integer(d->id));
	put(w, o, "type_name", json_string(device_type_name(d->id)));
	put(w, o, "over", json_string(virtio_transport_name(d->transport)));
	put(w, o, "runs", json_boolean(d->runs));
	if (d->runs)
		put_session(w, o, d);
	for (unsigned i = 0; i < d->n_parts; i++) {
		json_t *part = json_object();
		put(w, part, "first_queue", json_integer(d->part[i].first_queue));
		put(w, part, "queues", json_integer(d->part[i].n_queues));
		put_datapath(w, part, d, i);
		append(w, parts, part);
	}
	put(w, o, "parts", parts);
	for (unsigned i = 0; i < d->n_bits; i++)
		append(w, features, feature(w, &d->bit[i]));
	put(w, o, "features", features);
	return o;
}

int explain_write_json(FILE *out, const struct device_account *device, unsigned n)
{
	struct writer w = { 0 };
	json_t *top, *devices;

	/* Of its own accord Jansson would open /dev/urandom; the keys here are all our own. */
	json_object_seed(1);
	top = json_object();
	devices = json_array();
	for (unsigned i = 0; i < n; i++)
		append(&w, devices, device_object(&w, &device[i]));
	put(&w, top, "devices", devices);
	if (!w.lost && json_dumpf(top, out, JSON_INDENT(2)) == 0)
		fputc('\n', out);
	else
		w.lost = true;
	json_decref(top);
	return w.lost ? error_set(ENOMEM, "write the account of the devices as JSON") : 0;
}

#else

int explain_write_json(FILE *out, const struct device_account *device, unsigned n)
{
	(void)out;
	(void)device;
	(void)n;
	return explain_check(EXPLAIN_JSON);
}

#endif
