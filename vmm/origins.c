#include "vmm/origins.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void origins_fini(struct origins *origins)
{
	for (unsigned i = 0; i < origins->n_files; i++) {
		free(origins->file[i]->name);
		free(origins->file[i]);
	}
	free(origins->file);
	free(origins->entry);
	*origins = (struct origins){ 0 };
}

const struct origin_file *origins_add_file(struct origins *origins, const char *name,
					   const struct origin *at)
{
	struct origin_file **grown =
		reallocarray(origins->file, origins->n_files + 1, sizeof(struct origin_file *));
	struct origin_file *file = calloc(1, sizeof(*file));

	if (grown)
		origins->file = grown;
	if (file)
		file->name = strdup(name);
	if (!grown || !file || !file->name) {
		free(file ? file->name : NULL);
		free(file);
		return NULL;
	}
	if (at) {
		file->includer = at->file;
		file->line = at->line;
		file->column = at->column;
	}
	file->number = origins->n_files;
	origins->file[origins->n_files++] = file;
	return file;
}

int origins_note(struct origins *origins, const struct option_section *section, unsigned item,
		 const struct option *option, const struct origin *origin)
{
	if (origins->n_entries == origins->room) {
		unsigned room = origins->room ? 2 * origins->room : 32;
		struct origin_entry *grown =
			reallocarray(origins->entry, room, sizeof(struct origin_entry));
		if (!grown)
			return -ENOMEM;
		origins->entry = grown;
		origins->room = room;
	}
	origins->entry[origins->n_entries++] = (struct origin_entry){
		.section = section, .option = option, .item = item, .origin = *origin,
	};
	return 0;
}

const struct origin *origins_find(const struct origins *origins,
				  const struct option_section *section, unsigned item,
				  const struct option *option)
{
	for (unsigned i = origins->n_entries; i > 0; i--) {
		const struct origin_entry *e = &origins->entry[i - 1];
		if (e->section == section && e->item == item && e->option == option)
			return &e->origin;
	}
	return NULL;
}
