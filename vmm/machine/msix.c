/* The MSI-X capability, the table and the pending bits, as the guest sees them. */
#include "vmm/machine/msix.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/le.h"
#include "vmm/machine/msix_internal.h"

/* PCI Local Bus Specification 3.0, 6.8.2.3 "Message Control for MSI-X". */
enum {
	CAPABILITY_ID = 0x11,
	CAPABILITY_BODY = 10,		/* control, table, PBA */
	CONTROL = 2,			/* offset of Message Control in the capability */
	CONTROL_MASK_ALL = 0x4000,
	CONTROL_ENABLE = 0x8000,
	COMMAND = 0x04,
};

static uint16_t control(const struct msix *msix)
{
	return load_le16(msix->config.dev->config + msix->capability + CONTROL);
}

bool msix_is_pending(const struct msix_source *source)
{
	const struct msix *msix = source->msix;

	return msix && source->vector < msix->config.n_vectors &&
	       msix->vector[source->vector].pending;
}

bool msix_enabled(const struct msix *msix)
{
	return msix->capability && (control(msix) & CONTROL_ENABLE);
}

bool msix_is_masked(const struct msix *msix)
{
	return control(msix) & CONTROL_MASK_ALL;
}

static void add_capability(struct msix *msix)
{
	const struct msix_config *c = &msix->config;
	uint8_t body[CAPABILITY_BODY];

	assert(c->n_vectors <= MSIX_MAX_VECTORS);
	assert(c->table_offset % 8 == 0 && c->pba_offset % 8 == 0);
	store_le16(body, (uint16_t)(c->n_vectors - 1));
	store_le32(body + 2, c->table_offset | c->bar);
	store_le32(body + 6, c->pba_offset | c->bar);
	msix->capability = pci_device_add_capability(c->dev, CAPABILITY_ID, body, sizeof(body));
	store_le16(c->dev->writable + msix->capability + CONTROL,
		   CONTROL_ENABLE | CONTROL_MASK_ALL);
}

static void clear_vectors(struct msix *msix)
{
	for (unsigned i = 0; i < msix->config.n_vectors; i++) {
		struct msix_vector *v = &msix->vector[i];
		memset(v->entry, 0, sizeof(v->entry));
		v->entry[MSIX_ENTRY_CONTROL] = MSIX_ENTRY_MASKED;
		v->pending = false;
	}
}

int msix_create(struct msix **out, const struct msix_config *config)
{
	struct msix *msix = calloc(1, sizeof(*msix));
	int r;

	*out = NULL;
	if (!msix)
		return error_set(ENOMEM, "MSI-X of '%s'", config->dev->name);
	msix->config = *config;
	msix->follow = (struct event_source){ .fd = FD_NONE, .fn = msix_follow };
	if (config->n_vectors) {
		msix->vector = calloc(config->n_vectors, sizeof(*msix->vector));
		if (!msix->vector) {
			r = error_set(ENOMEM, "%u MSI-X vectors of '%s'", config->n_vectors,
				      config->dev->name);
			goto fail;
		}
		clear_vectors(msix);
	}
	r = fd_create_event(&msix->follow.fd);
	if (r < 0) {
		error_set(r, "eventfd for the interrupts of '%s'", config->dev->name);
		goto fail;
	}
	r = event_loop_add(config->main_loop, &msix->follow, EPOLLIN);
	if (r < 0)
		goto fail;
	if (config->n_vectors)
		add_capability(msix);
	*out = msix;
	return 0;
fail:
	msix_destroy(msix);
	return r;
}

void msix_destroy(struct msix *msix)
{
	if (!msix)
		return;
	while (msix->sources)
		msix_remove_source(msix->sources);
	event_loop_remove(&msix->follow);
	fd_close(&msix->follow.fd);
	free(msix->vector);
	free(msix);
}

static uint32_t table_size(const struct msix *msix)
{
	return msix->config.n_vectors * MSIX_ENTRY_SIZE;
}

/* The PBA is made of quadwords. */
static uint32_t pba_size(const struct msix *msix)
{
	return (uint32_t)align_up(msix->config.n_vectors, 64) / 8;
}

bool msix_overlaps(const struct msix *msix, unsigned bar, uint64_t offset, uint64_t len)
{
	const struct msix_config *c = &msix->config;
	const uint32_t start[] = { c->table_offset, c->pba_offset };
	const uint32_t size[] = { table_size(msix), pba_size(msix) };

	if (bar != c->bar || len == 0)
		return false;
	for (unsigned i = 0; i < ARRAY_SIZE(start); i++) {
		bool before = offset < start[i] && len <= start[i] - offset;
		bool after = offset >= (uint64_t)start[i] + size[i];
		if (size[i] && !before && !after)
			return true;
	}
	return false;
}

static uint8_t pba_byte(const struct msix *msix, uint32_t index)
{
	uint8_t byte = 0;

	for (unsigned bit = 0; bit < 8; bit++) {
		unsigned i = index * 8 + bit;
		if (i < msix->config.n_vectors && msix->vector[i].pending)
			byte |= (uint8_t)(1u << bit);
	}
	return byte;
}

uint64_t msix_read(struct msix *msix, uint64_t offset, unsigned size)
{
	const struct msix_config *c = &msix->config;
	uint64_t value = 0;

	/* The bits shall tell what has happened, not what the main loop has seen of it. */
	if (msix_enabled(msix))
		msix_collect_sources(msix);
	for (unsigned i = 0; i < size && i < sizeof(value); i++) {
		uint64_t table = offset + i - c->table_offset, pba = offset + i - c->pba_offset;
		uint8_t byte = 0;

		if (table < table_size(msix))
			byte = msix->vector[table / MSIX_ENTRY_SIZE].entry[table % MSIX_ENTRY_SIZE];
		else if (pba < pba_size(msix))
			byte = pba_byte(msix, (uint32_t)pba);
		value |= (uint64_t)byte << (8 * i);
	}
	return value;
}

/* Which bits of an entry's byte the guest can change. */
static uint8_t entry_writable(unsigned at)
{
	if (at == MSIX_ENTRY_ADDR)
		return 0xfc;	/* messages are dwords */
	if (at < MSIX_ENTRY_CONTROL)
		return 0xff;
	return at == MSIX_ENTRY_CONTROL ? MSIX_ENTRY_MASKED : 0;
}

void msix_write(struct msix *msix, uint64_t offset, unsigned size, uint64_t value)
{
	uint64_t first = offset - msix->config.table_offset;
	bool changed = false;

	for (unsigned i = 0; i < size && i < sizeof(value); i++) {
		uint64_t table = first + i;
		if (table >= table_size(msix))
			continue;
		unsigned at = table % MSIX_ENTRY_SIZE;
		uint8_t *byte = &msix->vector[table / MSIX_ENTRY_SIZE].entry[at];
		uint8_t writable = entry_writable(at);
		uint8_t new = (uint8_t)((*byte & ~writable) | (value >> (8 * i) & writable));
		changed |= new != *byte;
		*byte = new;
	}
	if (changed)
		msix_update_sources(msix);
}

void msix_config_written(struct msix *msix, unsigned offset, unsigned size)
{
	unsigned at = msix->capability + CONTROL;
	bool is_control = offset < at + 2 && at < offset + size;
	bool is_command = offset < COMMAND + 2 && COMMAND < offset + size;

	if (msix->capability && (is_control || is_command))
		msix_update_sources(msix);
}

void msix_reset(struct msix *msix)
{
	for (struct msix_source *s = msix->sources; s; s = s->next)
		msix_reset_source(s);
	clear_vectors(msix);
}
