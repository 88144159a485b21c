// The owner's list of allowed nodes among whole nodes (DESIGN section 4).
#include "actors/node/placing.hpp"
#include "actors/node/uptime.hpp"
#include "actors/testing/sim/harm.hpp"
#include "crypto/mesh_key.hpp"

#include <gtest/gtest.h>

namespace banyan::sim {
namespace {

struct allowed_list : ::testing::Test {
  static constexpr std::size_t machines = 5;
  static world_options options() {
    world_options o;
    o.seed = 4444;
    o.machines = machines;
    return o;
  }
  void boot(std::size_t from, std::size_t to) {
    for (auto n = from; n < to; ++n)
      w.at(n).boot();
    w.run_for(2s);
  }
  std::vector<node_id> ids(const std::vector<std::size_t>& of) {
    std::vector<node_id> out;
    for (const auto n : of)
      out.push_back(w.at(n).id());
    return out;
  }
  /// An owner signs the next policy, and brings it to machine 0.
  void sign(allowed_nodes list) {
    mesh_policy p;
    p.nodes = std::move(list);
    const auto by = sign_policy(local_mesh_owner(), w.mesh().id, ++version, p);
    bool taken = false;
    shell(0).take_policy(by.document, [&](reply_status s, std::string) {
      taken = s == reply_status::ok;
    });
    ASSERT_TRUE(w.run_until([&] { return taken; }, 10s));
  }
  actors::uptime_shell& shell(std::size_t n) {
    return *w.at(n).peer().context().uptime;
  }
  std::optional<net::member_state> sees(std::size_t by, std::size_t whom) {
    return w.at(by).peer().context().members->state_of(w.at(whom).id());
  }
  std::string event(std::size_t at, event_kind kind, std::size_t about) {
    std::string text;
    w.at(at).peer().context().events.each_after(0, [&](const mesh_event& e) {
      if (e.kind == to_string(kind) && e.about == w.at(about).id())
        text = e.text;
      return true;
    });
    return text;
  }
  why_member placed(std::size_t n, std::size_t by) {
    for (const auto& m :
         actors::members_for(w.at(by).peer().context(), nullptr))
      if (m.as.node == w.at(n).id())
        return m;
    return {};
  }
  std::uint64_t version = 0;
  world w{options()};
};

TEST_F(allowed_list, keeps_out_who_has_the_mesh_key_and_says_why_on_both_ends) {
  boot(0, 3);
  sign({ids({0, 1, 2, 3}), {}});
  ASSERT_TRUE(w.run_until(
      [&] {
        return shell(1).policies().version() == 1
               && shell(2).policies().version() == 1;
      },
      10s));
  boot(3, 4); // it is on the list, and hears of that as it joins
  EXPECT_TRUE(w.run_until(
      [&] {
        return sees(0, 3) && sees(1, 3) && sees(2, 3)
               && shell(3).policies().version() == 1;
      },
      20s));
  boot(4, machines);
  w.run_for(10s);
  for (std::size_t n = 0; n < 4; ++n) {
    EXPECT_FALSE(sees(n, 4)) << n;
    EXPECT_FALSE(sees(4, n)) << n;
  }
  const auto here = event(4, event_kind::node_refused, 4);
  EXPECT_NE(here.find("list of allowed nodes"), std::string::npos) << here;
  EXPECT_NE(here.find("policy set --allow " + to_string(w.at(4).id())),
            std::string::npos)
      << here;
  std::size_t told = 0;
  for (std::size_t n = 0; n < 4; ++n)
    told += event(n, event_kind::node_refused, 4).find("policy set --allow")
                    != std::string::npos
                ? 1U
                : 0U;
  EXPECT_GE(told, 1U); // whom it dialled

  // Once it is on the list it joins, without a restart.
  sign({ids({0, 1, 2, 3, 4}), {}});
  EXPECT_TRUE(w.run_until(
      [&] {
        for (std::size_t n = 0; n < 4; ++n)
          if (sees(n, 4) != net::member_state::alive
              || sees(4, n) != net::member_state::alive)
            return false;
        return true;
      },
      60s));
  EXPECT_TRUE(w.problems.empty());
}

TEST_F(allowed_list, evicts_nobody_and_gives_who_is_not_on_it_nothing_new) {
  boot(0, 4);
  sign({ids({0, 1, 2, 4}), ids({3})});
  ASSERT_TRUE(w.run_until(
      [&] {
        for (std::size_t n = 0; n < 4; ++n)
          if (shell(n).policies().version() != 1)
            return false;
        return true;
      },
      10s));
  for (std::size_t by = 0; by < 4; ++by) {
    EXPECT_EQ(sees(by, 3), net::member_state::alive) << by;
    const auto m = placed(3, by);
    EXPECT_EQ(m.away, away::unlisted) << by;
    EXPECT_FALSE(may_run(m)) << by;
    EXPECT_TRUE(may_run(placed(2, by))) << by;
    EXPECT_NE(event(by, event_kind::node_unlisted, 3), "") << by;
  }
  // It may come back, and who comes later meets it.
  w.at(3).kill(machine::end::power);
  boot(3, machines);
  EXPECT_TRUE(w.run_until(
      [&] {
        return sees(0, 3) == net::member_state::alive
               && sees(4, 3) == net::member_state::alive
               && sees(3, 4) == net::member_state::alive
               && shell(4).policies().version() == 1;
      },
      60s));
  EXPECT_TRUE(w.problems.empty());
}

} // namespace
} // namespace banyan::sim
