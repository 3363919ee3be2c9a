#!/usr/bin/env bash
# Installs dist's wheel in a fresh folder whose PATH has no compiler and no cmake, and shows which kernels run there.
# What the wheel depends on, gigabytes of it, is lent by .venv; gatewise itself is not.
set -euo pipefail
cd "$(dirname "$0")/.."
wheel=$(ls "$PWD"/dist/gatewise-*.whl)
python=$PWD/.venv/bin/python
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
in_room() { (cd "$room" && env -i PATH="$room/venv/bin" "$@"); }

"$python" -m venv --without-pip "$room/venv"
rm -f "$room"/venv/bin/[Aa]ctivate*
packages() { "$1" -c 'import sysconfig; print(sysconfig.get_path("purelib"))'; }
packages "$python" >"$(packages "$room/venv/bin/python")/lent.pth"
in_room "$python" -m pip --quiet --python "$room/venv/bin/python" install --no-index --no-deps "$wheel"

echo "$(basename "$wheel"), where the PATH leads to nothing but" "$room"/venv/bin/*
in_room gatewise kernels
in_room python - "$room" <<'PYTHON'
import sys

import gatewise
from gatewise.kernels.cpu import library

assert gatewise.__file__.startswith(sys.argv[1]), f"expected the wheel's gatewise, got {gatewise.__file__}"
assert library.why_not() is None, library.why_not()
print("instruction sets of the cpu kernel that run here:", *library.available_isas())
PYTHON
