#pragma once
#include <banyan/app.hpp>

#include <vector>

// An actor per key that keeps what it was given, in order.

struct elements {
  std::vector<std::int64_t> all;
  BANYAN_FIELDS(all);
};
struct element {
  std::int64_t value = 0;
  BANYAN_FIELDS(value);
};
struct forwarded {
  std::string to;
  std::int64_t value = 0;
  BANYAN_FIELDS(to, value);
};

struct list : banyan::app<list, elements> {
  using all_of_it = std::vector<std::int64_t>;

  static all_of_it append(elements& e, const element& x) {
    e.all.push_back(x.value);
    return e.all;
  }
  /// Appends here, and there by a message.
  static std::int64_t forward(elements& e, const forwarded& f,
                              banyan::context& ctx) {
    e.all.push_back(f.value);
    ctx.send<&list::append>(f.to, element{f.value});
    return static_cast<std::int64_t>(e.all.size());
  }
  static all_of_it read(const elements& e) { return e.all; }
};
BANYAN_APP(list, append, forward, read)
