#!/bin/sh
# man_page.sh - scdoc's input on stdin, the manual page on stdout. The first line is man's word for "run tbl before": scdoc makes
# tables and does not say so, and not every man runs tbl unasked.
printf '%s\n' "'\\\" t"
exec scdoc
