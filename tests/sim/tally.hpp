#pragma once
#include <banyan/app.hpp>

#include <stdexcept>
#include <string>

// Versions of one app, as its owner would deploy them one after another: what a
// `tally` counts, then with a label (state version 2), then ones with a fault.

struct tally_state_1 {
  std::int64_t value = 0;
  BANYAN_FIELDS(value);
};
struct tally_state_2 {
  std::int64_t value = 0;
  std::string label;
  BANYAN_FIELDS(value, label);
};
struct more {
  std::int64_t n = 0;
  BANYAN_FIELDS(n);
};

struct tally1 : banyan::app<tally1, tally_state_1> {
  static std::int64_t add(tally_state_1& t, const more& m) {
    return t.value += m.n;
  }
  static std::int64_t get(const tally_state_1& t) { return t.value; }
};
BANYAN_APP(tally1, add, get)

/// What the later ones share.
template <class Self>
struct tally_2 : banyan::app<Self, tally_state_2, tally_state_1> {
  static tally_state_2 upgrade(const tally_state_1& old) {
    return {old.value, "lifted"};
  }
  static std::int64_t get(const tally_state_2& t) { return t.value; }
  static std::string label(const tally_state_2& t) { return t.label; }
};

struct tally2 : tally_2<tally2> {
  static std::int64_t add(tally_state_2& t, const more& m) {
    return t.value += m.n;
  }
};
BANYAN_APP(tally2, add, get, label)

/// Fails whatever it is asked to do.
struct tally_throws : tally_2<tally_throws> {
  static std::int64_t add(tally_state_2&, const more&) {
    throw std::runtime_error{"a slip of the pen"};
  }
};
BANYAN_APP(tally_throws, add, get, label)

/// Fails from the second word on: it has written by then.
struct tally_trap : tally_2<tally_trap> {
  static std::int64_t add(tally_state_2& t, const more& m) {
    if (t.label == "trapped")
      throw std::runtime_error{"it snaps"};
    t.label = "trapped";
    return t.value += m.n;
  }
};
BANYAN_APP(tally_trap, add, get, label)
