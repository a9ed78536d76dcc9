#!/bin/sh
# Everything that only a GPU can tell, within eight minutes: sh benchmarks/gpu.sh [WHEELS [OUT]]
# On a bare machine without a network: its own Python (PYTHON=) has torch for CUDA; WHEELS is a folder with the wheels
# of what else is missing. Results go to OUT/gpu.json as they come; a part that fails takes no other with it.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python3} wheels=${1:-} out=${2:-outputs/gpu}
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
if [ -n "$wheels" ]; then
  "$python" -m pip install -q --disable-pip-version-check --no-index --no-deps --target "$place" "$wheels"/*.whl
fi
export PYTHONPATH="$PWD:$PWD/dlexp/plugins:$place${PYTHONPATH:+:$PYTHONPATH}"
"$python" -m benchmarks.gpu --out "$out"
