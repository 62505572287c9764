#include "vmm/config_mistake.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "vmm/option.h"
#include "vmm/outcome.h"

/* "1000 disks" have no mistake that needs a longer name. */
enum { SENTENCE_SIZE = 400 };

struct origin config_origin(const struct vm_config *config, const char *section, unsigned item,
			    const char *key)
{
	const struct option_section *s = option_find_section(section, strlen(section));
	const struct option *o =
		key ? option_find(section, strlen(section), key, strlen(key)) : NULL;
	const struct origin *found = o ? origins_find(&config->origins, s, item, o) : NULL;

	if (!found)
		found = origins_find(&config->origins, s, item, NULL);
	return found ? *found : (struct origin){ 0 };
}

/* Unnamed objects are so only before config_validate gave them names. */
static const char *object_name(const struct vm_config *config, const struct option_section *s,
			       unsigned item)
{
	const char *name = config_name(config, s, item);

	return name ? name : "";
}

static const char *file_label(char *buf, const struct vm_config *config,
			      const struct option_section *s, unsigned item, const char *key)
{
	snprintf(buf, CONFIG_LABEL_SIZE, "%s%s%.80s%s%s", s->name, s->list ? "." : "",
		 s->list ? object_name(config, s, item) : "", key ? "." : "", key ? key : "");
	return buf;
}

static const char *flag_label(char *buf, const struct vm_config *config,
			      const struct option_section *s, unsigned item, const char *key,
			      const char *flag)
{
	if (s->list)
		snprintf(buf, CONFIG_LABEL_SIZE, "%s '%.80s'%s%s", s->list->noun,
			 object_name(config, s, item), key ? ": " : "", key ? key : "");
	else if (flag && key && !option_flag_is_list(flag) && strcmp(flag, "set"))
		snprintf(buf, CONFIG_LABEL_SIZE, "--%s", flag);
	else
		snprintf(buf, CONFIG_LABEL_SIZE, "%s%s%s", s->name, key ? "." : "",
			 key ? key : "");
	return buf;
}

const char *config_label(char buf[CONFIG_LABEL_SIZE], const struct vm_config *config,
			 const char *section, unsigned item, const char *key)
{
	const struct option_section *s = option_find_section(section, strlen(section));
	struct origin at = config_origin(config, section, item, key);

	if (at.file)
		return file_label(buf, config, s, item, key);
	return flag_label(buf, config, s, item, key, at.flag);
}

void config_mistake(const struct vm_config *config, struct mistakes *mistakes, const char *section,
		    unsigned item, const char *key, const char *fmt, ...)
{
	struct origin at = config_origin(config, section, item, key);
	char label[CONFIG_LABEL_SIZE], sentence[SENTENCE_SIZE];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(sentence, sizeof(sentence), fmt, ap);
	va_end(ap);
	mistakes_add_at(mistakes, &at, STATUS_FAILED, "%s: %s",
			config_label(label, config, section, item, key), sentence);
}
