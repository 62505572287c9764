# What judge.awk says, as one page of HTML that needs nothing else.  -v generated=DATE
BEGIN {
	FS = "\t"
	n_states = split("passed,failed,lost,skipped,waived,permission,missing", state, ",")
	n_levels = split("MUST,MUST NOT,ROBUST,SHOULD,SHOULD NOT,MAY", level, ",")
	print "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">"
	print "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
	print "<title>Vireo: conformance to virtio 1.4</title>\n<style>"
	print "body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 84em; padding: 0 1em;"
	print "  color: #1b1f24; background: #fff }"
	print "table { border-collapse: collapse; width: 100%; margin: 1em 0 }"
	print "th, td { text-align: left; vertical-align: top; padding: .25em .6em; border-bottom: 1px solid #d8dee4 }"
	print "td.n, th.n { text-align: right }"
	print "code, td.id { font: 13px/1.5 ui-monospace, monospace } td.id { white-space: nowrap }"
	print "td.where { font-size: 13px } .section { color: #656d76; font-size: 12px; display: block }"
	print "tr:target { outline: 2px solid #0969da } select, input { font: inherit; margin-right: 1em }"
	print ".passed { background: #dafbe1 } .failed, .lost, .missing { background: #ffd8d3 }"
	print ".skipped { background: #fff1c2 } .waived { background: #eaeef2 } .permission { color: #656d76 }"
	print "</style>\n</head>\n<body>\n<h1>Conformance to virtio 1.4</h1>"
	print "<p>Each statement of the specification that concerns the device side, in this project's words, and"
	print "the tests that cover it with what became of them in the run of " escape(generated) "."
	print "ROBUST: the text leaves it open, but a device that faces a hostile guest needs it.</p>"
}

function escape(s) {
	gsub(/&/, "\\&amp;", s)
	gsub(/</, "\\&lt;", s)
	gsub(/>/, "\\&gt;", s)
	gsub(/"/, "\\&quot;", s)
	return s
}

{
	outcome = $6 == "covered" ? $7 : $6
	if (!($1 in seen)) {
		seen[$1] = 1
		area[++n_areas] = $1
	}
	count[$1, outcome]++
	count[$1, "rows"]++
	count["all", outcome]++
	count["all", "rows"]++
	where = escape($8)
	if ($6 == "covered") {
		gsub(/; /, "<br>", where)
		where = "<code>" where "</code>"
	}
	row[NR] = sprintf("<tr id=\"%s\" data-area=\"%s\" data-level=\"%s\" data-state=\"%s\">" \
		"<td class=\"id\">%s</td><td>%s</td><td>%s<span class=\"section\">%s</span></td>" \
		"<td class=\"where\">%s</td><td class=\"%s\">%s</td></tr>", $2, $1, $3, outcome,
		$2, $3, escape($5), escape($4), where, outcome,
		label(outcome))
}

function label(outcome) {
	return outcome == "lost" ? "did not run" : outcome
}

function summary_row(a, i) {
	printf "<tr><td>%s</td><td class=\"n\">%d</td>", a, count[a, "rows"]
	for (i = 1; i <= n_states; i++)
		printf "<td class=\"n%s\">%d</td>", count[a, state[i]] ? " " state[i] : "",
			count[a, state[i]]
	print "</tr>"
}

function choice(name, list, n, i) {
	printf "<select id=\"%s\"><option value=\"\">every %s</option>", name, name
	for (i = 1; i <= n; i++)
		printf "<option value=\"%s\">%s</option>", list[i], label(list[i])
	print "</select>"
}

END {
	printf "<table>\n<tr><th>area</th><th class=\"n\">rows</th>"
	for (i = 1; i <= n_states; i++)
		printf "<th class=\"n\">%s</th>", label(state[i])
	print "</tr>"
	for (i = 1; i <= n_areas; i++)
		summary_row(area[i])
	summary_row("all")
	print "</table>\n<p>"
	choice("area", area, n_areas)
	choice("level", level, n_levels)
	choice("state", state, n_states)
	print "<input id=\"text\" type=\"search\" placeholder=\"words\"></p>"
	print "<table>\n<thead><tr><th>id</th><th>level</th><th>statement</th><th>covered by</th><th>result</th></tr></thead>"
	print "<tbody id=\"rows\">"
	for (i = 1; i <= NR; i++)
		print row[i]
	print "</tbody>\n</table>\n<script>"
	print "const by = ['area', 'level', 'state'], get = (id) => document.getElementById(id);"
	print "const rows = [...get('rows').rows];"
	print "function show() {"
	print "  const words = get('text').value.toLowerCase();"
	print "  for (const r of rows)"
	print "    r.hidden = by.some((k) => get(k).value && r.dataset[k] !== get(k).value) ||"
	print "      !r.textContent.toLowerCase().includes(words);"
	print "}"
	print "for (const id of [...by, 'text']) get(id).addEventListener('input', show);"
	print "</script>\n</body>\n</html>"
}
