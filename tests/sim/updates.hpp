#pragma once
#include "actors/docs/app_documents.hpp"
#include "actors/node/names.hpp"
#include "actors/testing/sim/world.hpp"
#include "base/codec.hpp"
#include "sim/apps.hpp"

#include <caf/send.hpp>
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace banyan::sim {

/// What the tests of updates share: machines with one app, `tally`, calls to it
/// and what its groups' leaders say of its version.
struct updates : ::testing::Test {
  static constexpr int keys = 9;
  explicit updates(std::size_t machines = 3, std::uint32_t shard_count = 3)
      : shards{shard_count}, w{world_options{21, machines, {}, {}, {}}} {}

  void begin(std::vector<std::size_t> older = {}) {
    add_apps(w.catalog);
    for (const auto n : older)
      w.at(n).set_features(0);
    for (const auto& m : w.machines)
      m->boot();
    ASSERT_TRUE(w.run_until([&] { return all_met(); }, 10s));
    ASSERT_EQ(deploy("tally1").status, reply_status::ok);
    app = context(0).known.find_app("tally")->id;
    w.run_for(1s);
  }
  actors::node_context& context(std::size_t n) {
    return w.at(n).peer().context();
  }
  bool all_met() {
    for (const auto& m : w.machines)
      for (const auto& other : w.machines)
        if (!m->up() || !other->up()
            || (other->id() != m->id()
                && !m->peer().context().members->hears(other->id())))
          return false;
    return true;
  }
  [[nodiscard]] app_spec spec_of(const std::string& module,
                                 duration watch) const {
    app_spec s;
    s.name = "tally";
    s.module = module;
    s.shards = shards;
    s.isolation = app_isolation::none;
    s.replace_after = 1h;
    s.update_watch = watch;
    return s;
  }
  actors::deploy_answer deploy(const std::string& module, duration watch = 2s) {
    return deploy(spec_of(module, watch));
  }
  actors::deploy_answer deploy(app_spec spec) {
    actors::deploy_in d;
    d.spec = std::move(spec);
    std::optional<actors::deploy_answer> answer;
    d.done = [&](const actors::deploy_answer& a) { answer = a; };
    caf::anon_send(context(0).supervisor, std::move(d));
    EXPECT_TRUE(w.run_until([&] { return answer.has_value(); }, 10s));
    return answer.value_or(actors::deploy_answer{});
  }
  static std::string key(int n) { return "k" + std::to_string(n % keys); }
  [[nodiscard]] std::uint32_t shard_of_key(int n) const {
    return shard_of(key(n), shards);
  }
  void call(std::size_t at, const std::string& k, const std::string& command,
            std::function<void(const reply&)> done) {
    call_request r;
    r.app = "tally";
    r.key = k;
    r.command = command;
    if (command == "add")
      writer{r.argument}.map(1).text("n").sint(1);
    else
      r.kind = request_kind::query;
    w.at(at).peer().call(std::move(r),
                         [done](const reply& a, std::uint32_t) { done(a); });
  }
  reply ask(std::size_t at, const std::string& k, const std::string& command) {
    std::optional<reply> got;
    call(at, k, command, [&](const reply& a) { got = a; });
    EXPECT_TRUE(w.run_until([&] { return got.has_value(); }, 10s));
    return got.value_or(reply{});
  }
  /// Somebody calls every few ms through this machine, until `load_ends`.
  void load(std::size_t at) {
    w.after(5ms, [this, at] {
      if (load_ended || !w.at(at).up())
        return;
      const auto n = ++sent;
      call(at, key(n), "add", [this, n](const reply& a) {
        ++answered;
        if (a.status == reply_status::ok)
          ++added[key(n)];
        else
          failed.emplace_back(shard_of_key(n), a);
      });
      load(at);
    });
  }
  void end_load() {
    load_ended = true;
    ASSERT_TRUE(w.run_until([&] { return answered == sent; }, 10s));
  }
  void expect_values(std::size_t at) {
    for (int n = 0; n < keys; ++n) {
      const auto r = ask(at, key(n), "get");
      ASSERT_EQ(r.status, reply_status::ok) << r.message;
      std::int64_t value = -1;
      reader in{r.result};
      value = in.sint();
      EXPECT_EQ(value, added[key(n)]) << key(n);
    }
  }
  const version_word* word(std::uint32_t shard, std::size_t at = 0) {
    const auto& all = context(at).version_words;
    const auto i = all.find({app, shard});
    return i == all.end() ? nullptr : &i->second;
  }
  bool all_say(std::uint64_t running, update_state state, std::size_t at = 0) {
    for (std::uint32_t s = 0; s < shards; ++s)
      if (const auto* x = word(s, at);
          x == nullptr || x->running != running || x->state != state)
        return false;
    return true;
  }
  std::size_t leader(std::uint32_t shard) {
    for (std::size_t n = 0; n < w.machines.size(); ++n)
      if (const auto* v = context(n).known.view({app, shard}))
        for (std::size_t i = 0; i < w.machines.size(); ++i)
          if (w.at(i).id() == v->leader.node)
            return i;
    return 0;
  }
  void TearDown() override {
    for (const auto& p : w.problems)
      ADD_FAILURE() << p;
  }
  const std::uint32_t shards;
  world w;
  app_id app;
  int sent = 0;
  int answered = 0;
  bool load_ended = false;
  std::map<std::string, std::int64_t> added;
  std::vector<std::pair<std::uint32_t, reply>> failed;
};

} // namespace banyan::sim
