#pragma once
#include <banyan/app.hpp>

// A key-value store: an actor per key, which holds one string or nothing.

struct entry {
  std::optional<std::string> value;
  BANYAN_FIELDS(value);
};
struct text {
  std::string value;
  BANYAN_FIELDS(value);
};
struct swap {
  std::optional<std::string> expect; ///< null: only if there is nothing
  std::string value;
  BANYAN_FIELDS(expect, value);
};

struct kv : banyan::app<kv, entry> {
  static void put(entry& e, const text& t) { e.value = t.value; }
  static void append(entry& e, const text& t) {
    e.value = e.value.value_or("") + t.value;
  }
  /// Compare and swap: sets the value if it is the expected one.
  static bool cas(entry& e, const swap& s) {
    if (e.value != s.expect)
      return false;
    e.value = s.value;
    return true;
  }
  static void delete_(entry&, banyan::context& ctx) { ctx.remove(); }
  static std::optional<std::string> get(const entry& e) { return e.value; }
};
BANYAN_APP(kv, put, append, cas, delete_, get)
