// The secrets of an app that has several versions (DESIGN section 12): who gets
// which, and who none.
#include "actors/docs/app_secrets.hpp"
#include "sim/updates.hpp"

namespace banyan::sim {
namespace {

/// One group, and one machine without a replica of it.
struct secret_versions : updates {
  secret_versions() : updates{4, 1} {}
  void begin_here() {
    begin();
    for (std::size_t n = 0; n < 4; ++n)
      if (context(n).replicas.empty())
        outside = n;
  }
  /// Sealed to who has a replica now.
  void deploy_sealed(const std::string& module, const std::string& value) {
    app_papers papers;
    app_genesis genesis;
    ASSERT_TRUE(app_papers::decode(context(0).papers.at("tally"), papers));
    ASSERT_TRUE(app_genesis::decode(papers.genesis.body, genesis));
    std::set<node_id> nodes;
    for (const auto& m : w.machines)
      if (!m->peer().context().replicas.empty())
        nodes.insert(m->id());
    secret_values values;
    values.put("db", to_bytes(value));
    auto spec = spec_of(module, 1s);
    spec.secrets = {"db"};
    ASSERT_EQ(seal_secrets(spec, genesis.nonce, values, nodes, w.random), "");
    const auto a = deploy(spec);
    ASSERT_EQ(a.status, reply_status::ok) << a.message;
  }
  void move(std::size_t from, std::size_t to) {
    actors::operate_in in;
    in.what = operator_wish::move;
    in.app = "tally";
    in.from = w.at(from).id();
    in.to = w.at(to).id();
    bool done = false;
    in.done = [&](const actors::operate_answer& a) {
      done = true;
      EXPECT_EQ(a.status, reply_status::ok) << a.message;
    };
    caf::anon_send(context(to).supervisor, std::move(in));
    ASSERT_TRUE(w.run_until([&] { return done; }, 10s));
    ASSERT_TRUE(w.run_until(
        [&] {
          return context(from).replicas.empty()
                 && !context(to).replicas.empty();
        },
        20s));
  }
  bool host_is_up(std::size_t n, std::uint64_t version) {
    const auto at = context(n).handlers.find("tally");
    return at != context(n).handlers.end() && at->second.count(version) != 0;
  }
  /// The frame in which a node asks for a key, with its proof before it.
  void ask_for_key(std::size_t who, std::size_t whom, std::uint64_t version) {
    context(who).prove(w.at(whom).id(), {app, 0});
    context(who).send(w.at(whom).id(), net::channel::group,
                      encoded_control(secret_wanted{app, version}));
    w.run_for(200ms);
  }
  std::size_t outside = 0;
};

// The newest version was taken back: who becomes a voter now has to run the one
// before, whose secrets were sealed without it.
TEST_F(secret_versions, of_the_version_that_runs_come_to_a_new_voter) {
  begin_here();
  ASSERT_NO_FATAL_FAILURE(deploy_sealed("tally1", "one"));
  ASSERT_TRUE(w.run_until([&] { return all_say(2, update_state::done); }, 10s));
  ASSERT_NO_FATAL_FAILURE(deploy_sealed("tally_throws", "two"));
  ASSERT_TRUE(w.run_until([&] { return word(0)->running == 3; }, 10s));
  for (int i = 0; i < 5; ++i)
    EXPECT_EQ(ask(0, key(0), "add").status, reply_status::app_failed);
  ASSERT_TRUE(
      w.run_until([&] { return all_say(2, update_state::rolled_back); }, 10s));
  const auto from = leader(0);
  ASSERT_NO_FATAL_FAILURE(move(from, outside));
  EXPECT_TRUE(w.run_until([&] { return host_is_up(outside, 2); }, 10s));
  // And it leads as well as any.
  for (int i = 0; i < 5 && leader(0) != outside; ++i) {
    context(leader(0)).tell_replica({app, 0}, actors::group_order{});
    w.run_for(2s);
  }
  EXPECT_EQ(leader(0), outside);
  w.run_for(3s);
  EXPECT_EQ(leader(0), outside) << "it gave way";
  EXPECT_EQ(ask(from, key(0), "add").status, reply_status::ok);
}

TEST_F(secret_versions, come_to_no_node_that_was_a_voter_once) {
  begin_here();
  const auto once = leader(0);
  ASSERT_NO_FATAL_FAILURE(move(once, outside));
  ASSERT_NO_FATAL_FAILURE(deploy_sealed("tally1", "one"));
  ASSERT_TRUE(w.run_until([&] { return all_say(2, update_state::done); }, 10s));
  const auto asked =
      (once + 1) % 4 == outside ? (once + 2) % 4 : (once + 1) % 4;
  const auto unproven = [&] { return context(asked).counters.frames_unproven; };
  const auto before = unproven();
  ask_for_key(outside, asked, 2); // a voter now
  EXPECT_EQ(unproven(), before);
  ask_for_key(once, asked, 2); // it knows the group's secret, as ever
  EXPECT_EQ(unproven(), before + 1);
}

} // namespace
} // namespace banyan::sim
