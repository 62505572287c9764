#include "vmm/machine/elf_load.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

#include "vmm/base/error.h"

enum { PAGE = 4096 };

int elf_place(const struct elf *elf, const struct guest_memory *mem, struct boot_range *range)
{
	*range = (struct boot_range){ .start = UINT64_MAX, .end = 0 };
	for (unsigned i = 0; i < elf->n_segments; i++) {
		const struct elf_segment *s = &elf->segment[i];

		if (!boot_place_allows(mem, s->paddr, s->memsz)) {
			char size[24], memory[24];

			return error_set(ENOMEM, "segment of %s at %#llx does not fit: memory is "
					 "%s", boot_place_size(size, s->memsz),
					 (unsigned long long)s->paddr,
					 boot_place_size(memory, guest_memory_size(mem)));
		}
		range->start = min_u64(range->start, s->paddr);
		range->end = max_u64(range->end, s->paddr + s->memsz);
	}
	return 0;
}

int elf_load(const struct elf *elf, const struct boot_file *file, const struct guest_memory *mem,
	     struct boot_range *range)
{
	int r = elf_place(elf, mem, range);

	for (unsigned i = 0; i < elf->n_segments && r == 0; i++) {
		const struct elf_segment *s = &elf->segment[i];

		if (s->filesz > 0)
			r = boot_file_read(file, s->offset,
					   guest_memory_at(mem, s->paddr, s->filesz), s->filesz);
	}
	return r;
}

void elf_stream_init(struct elf_stream *stream, const struct guest_memory *mem, uint64_t size)
{
	*stream = (struct elf_stream){ .mem = mem, .size = size };
}

static bool is_zero(const uint8_t *p, size_t len)
{
	return len == 0 || (p[0] == 0 && memcmp(p, p + 1, len - 1) == 0);
}

/* Copy page by page of the destination, and leave pages alone that would get only zeros. */
static void copy_sparse(uint8_t *to, const uint8_t *from, size_t len)
{
	while (len > 0) {
		size_t n = min_u64(PAGE - (uintptr_t)to % PAGE, len);

		if (!is_zero(from, n))
			memcpy(to, from, n);
		to += n;
		from += n;
		len -= n;
	}
}

/* Give each segment its share of the file's bytes [offset, offset + len). */
static void scatter(const struct elf_stream *stream, uint64_t offset, const uint8_t *data,
		    size_t len)
{
	for (unsigned i = 0; i < stream->elf.n_segments; i++) {
		const struct elf_segment *s = &stream->elf.segment[i];
		uint64_t start = max_u64(offset, s->offset);
		uint64_t end = min_u64(offset + len, s->offset + s->filesz);

		if (start < end)
			copy_sparse(guest_memory_at(stream->mem, s->paddr + (start - s->offset),
						    end - start),
				    data + (start - offset), end - start);
	}
}

static int take_head(struct elf_stream *stream)
{
	struct elf *elf = &stream->elf;
	int r = elf_parse_header(elf, stream->head, stream->head_len);

	if (r < 0)
		return r;
	if (elf->bits != 64 || elf->machine != EM_X86_64 || elf->type != ET_EXEC)
		return error_set(ENOEXEC, "it is no 64-bit x86 kernel");
	if (!range_inside(elf->table_offset, elf_table_size(elf), stream->head_len))
		return error_set(ENOEXEC, "its program headers are not at its beginning");
	r = elf_parse_table(elf, stream->head + elf->table_offset, stream->size);
	if (r < 0)
		return r;
	r = elf_place(elf, stream->mem, &stream->range);
	if (r < 0)
		return r;
	stream->placed = true;
	scatter(stream, 0, stream->head, stream->head_len);
	return 0;
}

int elf_stream_write(void *arg, const uint8_t *data, size_t len)
{
	struct elf_stream *stream = arg;

	if (!stream->placed) {
		size_t n = min_u64(sizeof(stream->head) - stream->head_len, len);

		memcpy(stream->head + stream->head_len, data, n);
		stream->head_len += n;
		stream->offset += n;
		data += n;
		len -= n;
		if (stream->head_len == sizeof(stream->head)) {
			int r = take_head(stream);
			if (r < 0)
				return r;
		}
	}
	scatter(stream, stream->offset, data, len);
	stream->offset += len;
	return 0;
}

int elf_stream_finish(struct elf_stream *stream)
{
	if (stream->offset < stream->size)
		return error_set(ENOEXEC, "it has %llu bytes where %llu were promised",
				 (unsigned long long)stream->offset,
				 (unsigned long long)stream->size);
	/* A file that is shorter than the head's buffer has not been looked at yet. */
	return stream->placed ? 0 : take_head(stream);
}
