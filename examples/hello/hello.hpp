#pragma once
#include <banyan/stateless.hpp>

// The smallest stateless app: any instance greets anybody.

struct person {
  std::string name;
  BANYAN_FIELDS(name);
};

struct hello : banyan::stateless<hello> {
  static banyan::reply<std::string> greet(const banyan::no_state&,
                                          const person& p) {
    if (p.name.empty())
      return banyan::reject("nobody", "say whom to greet");
    return "hello, " + p.name;
  }
};
BANYAN_APP(hello, greet)
