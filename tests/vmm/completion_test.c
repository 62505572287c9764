/* What shells are told. */
#include "vmm/completion.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/command.h"
#include "vmm/option.h"

static char *text;

static void done(void)
{
	free(text);
	text = NULL;
}

TestSuite(completion, .fini = done);

#define ASK(...) ask((char *[]){ __VA_ARGS__, NULL })
static void ask(char *const *words)
{
	unsigned n = 0;
	size_t len;
	FILE *out;

	while (words[n])
		n++;
	free(text);
	out = open_memstream(&text, &len);
	cr_assert_eq(completion_write(out, n, words), 0);
	fclose(out);
}

static bool offers(const char *word)
{
	size_t len = strlen(word);

	for (const char *line = strchr(text, '\n'); line && line[1]; line = strchr(line + 1, '\n'))
		if (!strncmp(line + 1, word, len) && line[1 + len] == '\t')
			return true;
	return false;
}

/* The names of files behind this prefix. */
static bool offers_files(const char *prefix)
{
	char head[256];

	snprintf(head, sizeof(head), "files\t%s\n", prefix);
	return !strncmp(text, head, strlen(head));
}

#define S(text) ((char[]){ text })

Test(completion, commands_with_what_they_do)
{
	ASK(S(""));
	for (unsigned i = 0; i < commands_len; i++) {
		cr_expect(offers(commands[i]->name), "%s", commands[i]->name);
		cr_expect_not_null(strstr(text, commands[i]->summary));
	}
	ASK(S("ru"));
	cr_expect_str_eq(text, "\nrun\tboot a kernel in a virtual machine\n");
	ASK(S("help"), S("expo"));
	cr_expect(offers("export"));
	ASK(S("completion"), S(""));
	cr_expect(offers("bash") && offers("zsh") && offers("fish"));
	ASK(S("nothing"), S(""));
	cr_expect_str_eq(text, "\n");
}

Test(completion, every_setting_by_its_flag_and_by_set)
{
	for (unsigned i = 0; i < option_table_len; i++) {
		const struct option *o = &option_table[i];
		const struct option_section *section = option_section_of(o);
		char word[128], wanted[160];
		const char *of = section->list ? ".x." : ".";

		snprintf(word, sizeof(word), "%s%s", o->section, of);
		snprintf(wanted, sizeof(wanted), "%s%s=", word, o->key);
		ASK(S("run"), S("--set"), word);
		cr_expect(offers(wanted), "%s", wanted);
		if (!o->flag)
			continue;
		snprintf(word, sizeof(word), "--%s", o->flag);
		ASK(S("config"), word);
		cr_expect(offers(word), "%s", word);
		if (!option_flag_is_list(o->flag))
			continue;
		ASK(S("config"), word, S("x,"));
		snprintf(wanted, sizeof(wanted), "x,%s%s", o->key,
			 o->type == OPTION_BOOL ? "" : "=");
		cr_expect(offers(wanted), "%s %s", word, wanted);
	}
}

Test(completion, values_of_choices)
{
	ASK(S("run"), S("--transport"), S(""));
	cr_expect(offers("pci") && offers("mmio-legacy") && !offers("vm"));
	ASK(S("run"), S("--transport=mm"));
	cr_expect(offers("--transport=mmio") && !offers("--transport=pci"));
	ASK(S("run"), S("--disk"), S("a,engine=u"));
	cr_expect_str_eq(text, "\na,engine=uring\thow the host does the I/O\n");
	ASK(S("run"), S("--set"), S("disks.root.engine="));
	cr_expect(offers("disks.root.engine=threads"));
	ASK(S("run"), S("--rng"), S("o"));
	cr_expect(offers("on") && offers("off"));
	ASK(S("run"), S("--unpack=y"));
	cr_expect(offers("--unpack=yes"));
	ASK(S("run"), S("--print=j"));
	cr_expect(offers("--print=json"));
}

Test(completion, files_where_they_are_wanted)
{
	ASK(S("run"), S(""));
	cr_expect(offers_files(""));
	ASK(S("run"), S("--kernel"), S("/boot/vm"));
	cr_expect(offers_files(""));
	ASK(S("run"), S("--kernel=/boot/vm"));
	cr_expect(offers_files("--kernel="));
	ASK(S("run"), S("--disk"), S("path=a"));
	cr_expect(offers_files("path="));
	ASK(S("run"), S("--disk"), S("a,,b"));
	cr_expect(offers_files(""));
	ASK(S("run"), S("--console"), S("file=l"));
	cr_expect(offers_files("file="));
	ASK(S("run"), S("--set"), S("boot.initrd=x"));
	cr_expect(offers_files("boot.initrd="));
	ASK(S("run"), S("--dump-dtb"), S(""));
	cr_expect(offers_files(""));
	ASK(S("doctor"), S("--kvm"), S(""));
	cr_expect(offers_files(""));
	ASK(S("run"), S("--memory"), S(""));
	cr_expect(!offers_files(""));
	ASK(S("run"), S("-"));
	cr_expect(!offers_files(""));
}

Test(completion, bits_of_the_device)
{
	ASK(S("run"), S("--disk"), S("a,features=-d"));
	cr_expect(offers("a,features=-discard"));
	ASK(S("run"), S("--disk"), S("a,features=+ring_packed,-d"));
	cr_expect(offers("a,features=+ring_packed,-discard"));
	ASK(S("run"), S("--features"), S(""));
	cr_expect(offers("+ring_packed") && !offers("+discard"));
}

Test(completion, switches_of_the_command)
{
	ASK(S("config"), S("--s"));
	cr_expect(offers("--schema") && offers("--set") && offers("--serial"));
	ASK(S("run"), S("--s"));
	cr_expect(!offers("--schema"));
	ASK(S("run"), S("--no-"));
	cr_expect(offers("--no-prefault") && !offers("--no-memory"));
	ASK(S("explain"), S("--"));
	cr_expect(offers("--json") && offers("--help"));
	ASK(S("version"), S("-"));
	cr_expect_str_eq(text, "\n--help\twhat the command does\n");
}

/* Words of any kind are only words. */
Test(completion, strange_words_do_no_harm)
{
	static const char *const strange[] = {
		"", "-", "--", "--=", "=", ",", ",,", "--set", "--set=", "--set=.", "--set=a.b.c=",
		"--set=disks.", "--set=disks..=", "--disk=", "--disk=,=", "--disk=x,=,", "\n", "\t",
		"%s%n", "--disk=x,features=", "--disk=x,features=+", "--disk=x,+", "--no-", "--no-=",
	};
	static const char *const options[] = { "--set", "--disk", "--kernel", "--vsock", "run" };
	char longest[4096];

	memset(longest, ',', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	for (unsigned i = 0; i <= ARRAY_SIZE(strange); i++) {
		char word[sizeof(longest)];
		snprintf(word, sizeof(word), "%s",
			 i < ARRAY_SIZE(strange) ? strange[i] : longest);
		ASK(word);
		ASK(S("run"), word);
		for (unsigned k = 0; k < ARRAY_SIZE(options); k++) {
			char option[16];
			snprintf(option, sizeof(option), "%s", options[k]);
			ASK(S("run"), option, word);
			cr_assert_not_null(strchr(text, '\n'));
		}
	}
	free(text);
	size_t len;
	FILE *out = open_memstream(&text, &len);
	cr_assert_eq(completion_write(out, 0, NULL), 0);
	fclose(out);
	cr_expect(offers("run"));
}
