/*
 * A YAML text as a tree of maps, lists and texts with their places.  Only what a VM file needs:
 * every scalar is text (no type is guessed), and what makes YAML surprising is refused (anchors,
 * aliases, tags, merge keys, directives, several documents, keys that are not texts, keys given
 * twice).  Depth and size are bounded.  JSON is a part of it.
 */
#ifndef VMM_FILE_YAML_TREE_H
#define VMM_FILE_YAML_TREE_H

#include "vmm/base/util.h"
#include "vmm/file/file_text.h"

enum {
	YAML_MAX_DEPTH = 8,	/* maps and lists in each other */
	YAML_MAX_NODES = 20000,
	YAML_MAX_ITEMS = 1024,	/* of one map or list */
};

enum yaml_kind { YAML_TEXT, YAML_MAP, YAML_LIST };

struct yaml_node {
	enum yaml_kind kind;
	unsigned line, column;	/* of the value; of the key if there is no value */
	char *key;		/* in a map: an owned text; else NULL */
	unsigned key_line, key_column;
	char *text;		/* TEXT: owned */
	bool is_empty;		/* TEXT: nothing at all is written there, not even quotes */
	struct yaml_node *parent, *first, *last, *next;
	unsigned n_items;
	struct yaml_node *made_before;	/* of all nodes, for freeing */
};

struct yaml_tree {
	struct yaml_node *root;		/* NULL: the text is empty */
	struct yaml_node *made_last;
	unsigned n_nodes;
};

/* Called for each flaw, in any order; 'node' is the one that has it, or NULL. */
typedef void yaml_flaw_fn(void *arg, const struct yaml_node *node, const struct file_flaw *flaw);

/*
 * Read 'text' (which passed file_text_judge).  Returns true if there was no flaw; else the tree is
 * what was understood.  It is to be freed in both cases.
 */
bool yaml_tree_read(struct yaml_tree *out, const struct file_text *text, yaml_flaw_fn *flaw,
		    void *arg);
void yaml_tree_free(struct yaml_tree *tree);

enum { YAML_PATH_SIZE = 160 };

/* The keys that lead to a node, "disks.root.path", written to 'buf' and returned. */
const char *yaml_node_path(const struct yaml_node *node, char buf[YAML_PATH_SIZE]);

#endif
