#!/usr/bin/env bash
# Runs cudnn_plan with a libcuda.so.1 on the library path: the stub of the toolkit.
#
#   cudnn_plan.sh PROGRAM STUBS_FOLDER
#
# Exit: the program's; 77 (skipped) without a stub.
set -euo pipefail
stub=$2/libcuda.so
if [ ! -e "$stub" ]; then
  echo "skipped: no $stub"
  exit 77
fi
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
ln -s "$stub" "$folder/libcuda.so.1"
LD_LIBRARY_PATH=$folder "$1" "$(dirname "$0")/h200.json"
