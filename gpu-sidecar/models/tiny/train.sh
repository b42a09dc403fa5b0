#!/bin/sh
# Retrain the built-in model: a virtual environment, the checks, the training, the score, the GGUF file.
#
#   ./train.sh                           4800 steps, about half an hour on two free cores
#   ./train.sh --steps 4800 --compile    a third faster; needs g++
#   ./train.sh --minutes 5               any options of train.py
#   VENV=~/venv-tiny ./train.sh   an environment elsewhere (default build/venv; a torch already in it is kept)
set -eu
cd "$(dirname "$0")"
[ $# -gt 0 ] || set -- --steps 4800
venv="${VENV:-build/venv}"
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --requirement requirements.txt
"$venv/bin/python" corpus.py
"$venv/bin/python" train.py "$@"
"$venv/bin/python" export.py
"$venv/bin/python" score.py --reference
