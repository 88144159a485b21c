#pragma once
#include <banyan/app.hpp>

struct visits {
  std::int64_t count = 0;
  BANYAN_FIELDS(count);
};
struct visitor {
  std::string name;
  BANYAN_FIELDS(name);
};

struct greeter : banyan::app<greeter, visits> {
  static std::string greet(visits& v, const visitor& who) {
    return "hello " + who.name + ", visitor " + std::to_string(++v.count);
  }
};
BANYAN_APP(greeter, greet)
