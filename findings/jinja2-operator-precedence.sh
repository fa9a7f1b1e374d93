#!/usr/bin/env bash
# A guess: operators of a Jinja2 expression bind as Python's, with `~` beside `+`.
# Seen: `~` binds tighter than `+` and looser than `*`; a minus sign binds tighter than `**`.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q jinja2==3.1.6 2>/dev/null
cat >case.py <<'P'
import jinja2
show = lambda text: jinja2.Template(text).render()
print("jinja2", jinja2.__version__)
joined = show("{{ 'x' + 1 ~ 'y' }}")
power = show("{{ -2 ** 2 }}")
product = show("{{ 1 ~ 2 * 3 }}")
print("{{ 'x' + 1 ~ 'y' }} is", joined)
print("{{ -2 ** 2 }} is", power, "and Python's is", -(2**2))
print("{{ 1 ~ 2 * 3 }} is", product)
assert (joined, power, product) == ("x1y", "4", "16")
P
venv/bin/python case.py
