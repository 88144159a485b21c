#pragma once
#include "hello/hello.hpp"

#include <string>
#include <vector>

// A durable app that has a stateless one do its work: who is to be greeted is
// sent to `hello`, and what came back is kept.

struct guest_book {
  std::vector<std::string> lines;
  BANYAN_FIELDS(lines);
};

struct greeter : banyan::app<greeter, guest_book> {
  static void invite(guest_book&, const person& p, banyan::context& ctx) {
    ctx.send<&hello::greet>("door", p, banyan::on_reply<&greeter::greeted>);
  }
  static void greeted(guest_book& b,
                      const banyan::answer<person, std::string>& a) {
    b.lines.push_back(a.ok() ? a.value : a.code);
  }
  static std::vector<std::string> lines(const guest_book& b) { return b.lines; }
};
BANYAN_APP(greeter, invite, greeted, lines)
