// An app that says what it is told, in every way in which an app can.
#include <banyan/app.hpp>

#include <cstdio>

struct spoken {
  std::string last;
  std::int64_t count = 0;
  BANYAN_FIELDS(last, count);
};
struct line {
  std::string text;
  BANYAN_FIELDS(text);
};
struct options {
  std::string greeting = "none";
  std::int64_t times = 1;
  BANYAN_FIELDS(greeting, times);
};

struct speaker : banyan::app<speaker, spoken> {
  static std::int64_t say(spoken& s, const line& l, banyan::context& ctx) {
    std::printf("printed %s\n", l.text.c_str());
    std::fprintf(stderr, "complained of %s\n", l.text.c_str());
    ctx.log("logged " + l.text);
    s.last = l.text;
    return ++s.count;
  }
  static std::string greeting(const spoken&, banyan::context& ctx) {
    const auto o = ctx.config<options>();
    std::string all;
    for (std::int64_t i = 0; i < o.times; ++i)
      all += o.greeting;
    return all;
  }
  /// A test app may: others keep it to themselves.
  static std::string secret(const spoken&, const line& name,
                            banyan::context& ctx) {
    return ctx.secret(name.text);
  }
};
BANYAN_APP(speaker, say, greeting, secret)
