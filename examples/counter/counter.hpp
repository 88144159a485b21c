#pragma once
#include <banyan/app.hpp>

// An actor per key that counts.

struct count {
  std::int64_t value = 0;
  BANYAN_FIELDS(value);
};
struct step {
  std::int64_t n = 0;
  BANYAN_FIELDS(n);
};

struct counter : banyan::app<counter, count> {
  static banyan::reply<std::int64_t> add(count& c, const step& s) {
    std::int64_t sum = 0;
    if (__builtin_add_overflow(c.value, s.n, &sum))
      return banyan::reject("overflow", "the sum doesn't fit 64 bits");
    return c.value = sum;
  }
  static std::int64_t get(const count& c) { return c.value; }
};
BANYAN_APP(counter, add, get)
