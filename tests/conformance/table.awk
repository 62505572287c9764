# What judge.awk says, as a table per area and level, with the ids that want attention below.  Exit status 1 if a
# statement that obliges is missing, or a test failed or was lost.
BEGIN {
	FS = "\t"
	n_levels = split("MUST,MUST NOT,ROBUST,SHOULD,SHOULD NOT,MAY", level, ",")
	n_columns = split("rows,covered,waived,permission,missing,failing,skipped", column, ",")
}

{
	area = $1
	if (!(area in seen)) {
		seen[area] = 1
		order[++n_areas] = area
	}
	add("rows")
	add($6)
	if ($7 == "failed" || $7 == "lost") {
		add("failing")
		note($7, $2)
		bad = 1
	}
	if ($7 == "skipped") {
		add("skipped")
		note("skipped", $2)
	}
	if ($6 == "missing") {
		note("missing", $2)
		if ($3 ~ /^(MUST|MUST NOT|ROBUST)$/)
			bad = 1
	}
}

function add(what) {
	count[area, $3, what]++
	count[area, "all", what]++
	count["all", $3, what]++
	count["all", "all", what]++
}

function note(what, id) {
	ids[what, area] = ids[what, area] " " id
}

# A line, unless the area has no row of the level.
function print_line(label, a, l, i) {
	if (!count[a, l, "rows"])
		return
	printf "%-13s %-10s", label, l
	for (i = 1; i <= n_columns; i++)
		printf " %10s", count[a, l, column[i]] ? count[a, l, column[i]] : "."
	printf "\n"
}

function print_block(a, i, label) {
	label = a
	for (i = 1; i <= n_levels; i++) {
		if (!count[a, level[i], "rows"])
			continue
		print_line(label, a, level[i])
		label = ""
	}
}

# The ids of an area, in lines that fit a terminal.
function print_ids(a, list, word, n, i, width, lead) {
	lead = sprintf("  %-13s", a)
	n = split(list, word, " ")
	width = length(lead)
	printf "%s", lead
	for (i = 1; i <= n; i++) {
		if (width + 1 + length(word[i]) > 100) {
			printf "\n%15s", ""
			width = 15
		}
		printf " %s", word[i]
		width += 1 + length(word[i])
	}
	printf "\n"
}

function print_list(title, what, i, any) {
	for (i = 1; i <= n_areas; i++) {
		if (!((what, order[i]) in ids))
			continue
		if (!any++)
			printf "\n%s:\n", title
		print_ids(order[i], ids[what, order[i]])
	}
}

END {
	printf "%-13s %-10s", "area", "level"
	for (i = 1; i <= n_columns; i++)
		printf " %10s", column[i]
	printf "\n"
	for (i = 1; i <= n_areas; i++)
		print_block(order[i])
	print_block("all")
	print_line("", "all", "all")
	print_list("Skipped, because the host cannot run the tests that cover them", "skipped")
	print_list("Missing: neither a test nor a waiver", "missing")
	print_list("Covered by a test that did not run", "lost")
	print_list("Covered by a test that failed", "failed")
	printf "\n%s\n", bad ? "conformance: NOT complete" : \
		"conformance: nothing missing at MUST, MUST NOT and ROBUST, no covering test failed"
	exit bad
}
