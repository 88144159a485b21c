#!/usr/bin/env bash
# Builds an app outside the tree against an installed prefix and runs it.
# usage: outside.sh CMAKE BUILD_DIR SOURCE_DIR RUN_APP
set -eu
cmake=$1 build=$2 source=$3 run_app=$4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for component in app testing; do
  "$cmake" --install "$build" --component $component --prefix "$work/prefix" \
    >> "$work/log"
done
"$cmake" -S "$source" -B "$work/build" -DCMAKE_PREFIX_PATH="$work/prefix" \
  >> "$work/log" || { cat "$work/log"; exit 1; }
"$cmake" --build "$work/build" >> "$work/log" || { cat "$work/log"; exit 1; }
if grep -rlE '#[[:space:]]*include[[:space:]]*["<](base|crypto|store|net|actors)/' \
     "$work/prefix/include"; then
  echo 'an installed header includes one that is not installed'
  exit 1
fi
"$work/build/greeter_test"
"$work/build/greeter_mesh_test"
"$run_app" "$work/build/greeter.so" greeter greet '{"name":"bob"}' \
  '"hello bob, visitor 1"'
