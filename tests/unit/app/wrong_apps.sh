#!/usr/bin/env bash
# A wrong app is one readable error, and it says what is wanted.
# usage: wrong_apps.sh CXX INCLUDE_DIR
set -u
cxx=$1 include=$2 bad=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# wrong MESSAGE SOURCE
wrong() {
  cat > "$work/app.cpp" <<SOURCE
#include <banyan/app.hpp>
struct s { int n = 0; BANYAN_FIELDS(n); };
struct arg { int n = 0; BANYAN_FIELDS(n); };
struct odd { int* p = nullptr; };
$2
SOURCE
  "$cxx" -std=c++17 -fsyntax-only -I"$include" "$work/app.cpp" 2> "$work/out"
  local errors
  errors=$(grep -c ' error: ' "$work/out")
  if [ "$errors" -ne 1 ] || ! grep -q "$1" "$work/out"; then
    printf '%s\n  gives %s errors, wanted one with: %s\n' "$2" "$errors" "$1"
    cat "$work/out"
    bad=1
  fi
}
wrong 'a handler is static and R(State&)' \
  'struct x : banyan::app<x, s> { static int f(s&, arg&); }; BANYAN_APP(x, f)'
wrong 'a handler is static and R(State&)' \
  'struct x : banyan::app<x, s> { int f(s&); }; BANYAN_APP(x, f)'
wrong "a handler's first parameter is the app's state" \
  'struct x : banyan::app<x, s> { static int f(arg&); }; BANYAN_APP(x, f)'
wrong 'underscore' \
  'struct x : banyan::app<x, s> { static int _f(s&); }; BANYAN_APP(x, _f)'
wrong "the app's state needs BANYAN_FIELDS" \
  'struct x : banyan::app<x, odd> { static int f(odd&); }; BANYAN_APP(x, f)'
wrong "this type can't be sent or stored" \
  'struct x : banyan::app<x, s> { static int f(s&, odd); }; BANYAN_APP(x, f)'
wrong 'each older state needs' \
  'struct x : banyan::app<x, s, arg> { static int f(s&); }; BANYAN_APP(x, f)'
wrong 'an on_reply handler takes banyan::answer' \
  'struct x : banyan::app<x, s> { static int f(s&, arg);
   static void g(s&, banyan::context& c) {
     c.send<&x::f>("k", {1}, banyan::on_reply<&x::g>); } };
   BANYAN_APP(x, f, g)'
wrong "a field of the app's state itself" \
  'struct t { banyan::table<int, int> rows; BANYAN_FIELDS(rows); };
   struct x : banyan::app<x, s> { static int f(s&, t); }; BANYAN_APP(x, f)'
exit $bad
