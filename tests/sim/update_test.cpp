// Updates of an app on whole nodes (DESIGN sections 4, 6 and 8): under load and
// faults, a canary that fails, the way back and where it ends, older peers.
#include "sim/updates.hpp"

namespace banyan::sim {
namespace {

using actors::document_kind;

// ---- the way forward --------------------------------------------------------

TEST_F(updates, take_over_under_load_without_a_failed_call) {
  begin();
  EXPECT_TRUE(all_say(1, update_state::done)) << "groups are born with theirs";
  for (std::size_t n = 0; n < 3; ++n)
    load(n);
  w.run_for(1s);
  ASSERT_EQ(deploy("tally2").status, reply_status::ok);
  ASSERT_TRUE(
      w.run_until([&] { return word(0) && word(0)->running == 2; }, 5s));
  // The others wait until shard 0 was watched.
  EXPECT_EQ(word(0)->state, update_state::canary);
  w.run_for(1s);
  EXPECT_EQ(word(1)->running, 1U);
  EXPECT_EQ(word(1)->why, "update waits for shard 0, which takes it first");
  ASSERT_TRUE(w.run_until([&] { return all_say(2, update_state::done); }, 10s));
  w.run_for(1s);
  end_load();
  EXPECT_GT(sent, 500);
  EXPECT_TRUE(failed.empty()) << failed[0].second.message;
  expect_values(1);
  EXPECT_EQ(ask(0, key(1), "label").status, reply_status::ok);
  // The old version's hosts are gone.
  w.run_for(20s);
  for (std::size_t n = 0; n < 3; ++n)
    EXPECT_EQ(context(n).apps.size(), 1U);
}

TEST_F(updates, go_on_while_peers_are_killed) {
  begin();
  load(0);
  w.run_for(500ms);
  ASSERT_EQ(deploy("tally2").status, reply_status::ok);
  for (int i = 0; i < 6; ++i) {
    const std::size_t n = 1 + static_cast<std::size_t>(i) % 2;
    w.run_for(700ms);
    w.at(n).kill(machine::end::power);
    w.run_for(300ms);
    w.at(n).boot();
  }
  ASSERT_TRUE(w.run_until([&] { return all_say(2, update_state::done); }, 60s));
  end_load();
  EXPECT_TRUE(failed.empty()) << failed[0].second.message;
  expect_values(2);
}

TEST_F(updates, outlast_a_restart_of_all) {
  begin();
  for (int n = 0; n < keys; ++n) {
    ASSERT_EQ(ask(0, key(n), "add").status, reply_status::ok);
    ++added[key(n)];
  }
  ASSERT_EQ(deploy("tally2", 0s).status, reply_status::ok);
  ASSERT_TRUE(w.run_until([&] { return all_say(2, update_state::done); }, 10s));
  for (const auto& m : w.machines)
    m->kill(machine::end::power);
  w.run_for(100ms);
  for (const auto& m : w.machines)
    m->boot();
  ASSERT_TRUE(w.run_until([&] { return all_say(2, update_state::done); }, 20s));
  expect_values(0);
}

// ---- the way back -----------------------------------------------------------

TEST_F(updates, a_canary_that_throws_goes_back_by_itself) {
  begin();
  for (std::size_t n = 0; n < 3; ++n)
    load(n);
  w.run_for(1s);
  ASSERT_EQ(deploy("tally_throws").status, reply_status::ok);
  ASSERT_TRUE(
      w.run_until([&] { return all_say(1, update_state::rolled_back); }, 10s));
  EXPECT_NE(word(0)->why.find("turns failed"), std::string::npos);
  EXPECT_EQ(word(1)->why, "shard 0: " + word(0)->why);
  w.run_for(2s);
  EXPECT_EQ(word(0)->running, 1U) << "it is never tried again";
  end_load();
  // Only the canary's calls are affected, and few of them.
  EXPECT_FALSE(failed.empty());
  EXPECT_LT(failed.size(), 100U);
  for (const auto& [shard, r] : failed) {
    EXPECT_EQ(shard, 0U);
    EXPECT_EQ(r.status, reply_status::app_failed) << r.message;
  }
  expect_values(0);
  // A new leader knows as well.
  w.at(leader(0)).kill(machine::end::power);
  w.run_for(3s);
  std::size_t up = 0;
  while (!w.at(up).up())
    ++up;
  EXPECT_EQ(word(0, up)->running, 1U);
  EXPECT_EQ(word(0, up)->state, update_state::rolled_back);
}

TEST_F(updates, a_fix_goes_on_where_a_version_was_refused) {
  begin();
  for (std::size_t n = 0; n < 3; ++n)
    load(n);
  ASSERT_EQ(deploy("tally_throws").status, reply_status::ok);
  ASSERT_TRUE(
      w.run_until([&] { return all_say(1, update_state::rolled_back); }, 10s));
  failed.clear();
  ASSERT_EQ(deploy("tally2").status, reply_status::ok);
  ASSERT_TRUE(w.run_until([&] { return all_say(3, update_state::done); }, 10s));
  end_load();
  EXPECT_TRUE(failed.empty());
  expect_values(0);
}

TEST_F(updates, no_way_back_behind_the_first_write_of_a_state_version) {
  begin();
  int on_0 = 0;
  while (shard_of_key(on_0) != 0)
    ++on_0;
  ASSERT_EQ(ask(0, key(on_0), "add").status, reply_status::ok);
  ASSERT_EQ(deploy("tally_trap", 10s).status, reply_status::ok);
  ASSERT_TRUE(w.run_until([&] { return word(0)->running == 2; }, 5s));
  ASSERT_EQ(ask(0, key(on_0), "add").status, reply_status::ok); // written
  for (int i = 0; i < 4; ++i)
    EXPECT_EQ(ask(0, key(on_0), "add").status, reply_status::app_failed);
  ASSERT_TRUE(
      w.run_until([&] { return word(0)->state == update_state::refused; }, 5s));
  EXPECT_EQ(word(0)->running, 2U);
  EXPECT_NE(word(0)->why.find("can't go back: state version 2 was written at "
                              "index "),
            std::string::npos)
      << word(0)->why;
  EXPECT_EQ(word(1)->running, 1U) << "no other shard follows";
  // The old module under a higher number, too, is refused, with that reason.
  const auto back = deploy("tally1");
  EXPECT_EQ(back.status, reply_status::conflict);
  EXPECT_NE(back.message.find("state version 2 was written in shard 0"),
            std::string::npos)
      << back.message;
  // A fix is not.
  ASSERT_EQ(deploy("tally2").status, reply_status::ok);
  ASSERT_TRUE(w.run_until([&] { return all_say(3, update_state::done); }, 20s));
  EXPECT_EQ(ask(0, key(on_0), "add").status, reply_status::ok);
}

TEST_F(updates, an_operator_may_go_back_as_long_as_nothing_was_written) {
  begin();
  ASSERT_EQ(deploy("tally2", 0s).status, reply_status::ok);
  ASSERT_TRUE(w.run_until([&] { return all_say(2, update_state::done); }, 10s));
  ASSERT_EQ(deploy("tally1", 0s).status, reply_status::ok);
  ASSERT_TRUE(w.run_until([&] { return all_say(3, update_state::done); }, 10s));
  EXPECT_EQ(ask(0, key(0), "add").status, reply_status::ok);
}

TEST_F(updates, that_change_the_shards_are_refused) {
  begin();
  actors::deploy_in d;
  d.spec.name = "tally";
  d.spec.module = "tally2";
  d.spec.shards = shards + 1;
  d.spec.isolation = app_isolation::none;
  std::optional<actors::deploy_answer> answer;
  d.done = [&](const actors::deploy_answer& a) { answer = a; };
  caf::anon_send(context(0).supervisor, std::move(d));
  ASSERT_TRUE(w.run_until([&] { return answer.has_value(); }, 10s));
  EXPECT_EQ(answer->status, reply_status::conflict);
  EXPECT_EQ(answer->message, "shards is fixed at birth: 3");
}

TEST_F(updates, that_lower_the_version_are_refused) {
  begin();
  app_papers first;
  ASSERT_TRUE(app_papers::decode(context(0).papers.at("tally"), first));
  ASSERT_EQ(deploy("tally2", 0s).status, reply_status::ok);
  actors::papers_in p;
  p.papers = first;
  std::optional<actors::deploy_answer> answer;
  p.done = [&](const actors::deploy_answer& a) { answer = a; };
  caf::anon_send(context(0).supervisor, std::move(p));
  ASSERT_TRUE(w.run_until([&] { return answer.has_value(); }, 10s));
  EXPECT_EQ(answer->status, reply_status::conflict);
  EXPECT_EQ(answer->message,
            "version 2 is there, 1 is lower: sign a number above 2");
}

// ---- older peers ------------------------------------------------------------

TEST_F(updates, wait_for_peers_that_are_older) {
  begin({2});
  ASSERT_EQ(deploy("tally2").status, reply_status::ok);
  w.run_for(5s);
  const auto why = "update waits for node " + short_string(w.at(2).id())
                   + ": its banyan-peer is older than versions of apps; "
                     "update it";
  for (std::uint32_t s = 0; s < shards; ++s) {
    const auto at = leader(s);
    if (at == 2)
      continue; // it says what an older one says
    ASSERT_NE(word(s), nullptr);
    EXPECT_EQ(word(s)->running, 1U);
    EXPECT_EQ(word(s)->why, why);
    EXPECT_FALSE(word(s)->written) << "no such entry was made";
  }
  // Nothing in any log keeps the older peer from going on, or from coming back.
  for (std::size_t n = 0; n < 3; ++n) {
    w.at(n).kill(machine::end::power);
    w.run_for(200ms);
    w.at(n).boot();
    w.run_for(2s);
    EXPECT_EQ(w.at(n).fault(), "");
    if (n < 2)
      load(n);
  }
  for (std::size_t n = 0; n < 2; ++n)
    EXPECT_EQ(context(n)
                  .disk.documents
                  ->list(static_cast<std::uint8_t>(document_kind::base))
                  .size(),
              1U)
        << "or who starts again would run the newest";
  EXPECT_FALSE(all_say(2, update_state::done));
  // It is updated: now the update goes on by itself.
  w.at(2).kill(machine::end::process);
  w.at(2).set_features(features_known);
  w.run_for(200ms);
  w.at(2).boot();
  ASSERT_TRUE(w.run_until([&] { return all_say(2, update_state::done); }, 30s));
  end_load();
  for (const auto& [shard, r] : failed)
    ADD_FAILURE() << shard << ": " << r.message;
  for (std::size_t n = 0; n < 3; ++n)
    EXPECT_TRUE(context(n)
                    .disk.documents
                    ->list(static_cast<std::uint8_t>(document_kind::base))
                    .empty());
}

TEST_F(updates, a_peer_that_is_older_than_its_log_says_so_and_touches_nothing) {
  begin();
  ASSERT_EQ(ask(0, key(0), "add").status, reply_status::ok);
  w.run_for(2s);
  w.at(2).kill(machine::end::process);
  w.at(2).set_features(0);
  w.at(2).expect_fatal();
  w.run_for(200ms);
  w.at(2).boot();
  ASSERT_TRUE(w.run_until([&] { return !w.at(2).fault().empty(); }, 5s));
  EXPECT_NE(w.at(2).fault().find("was written by a newer version of "
                                 "banyan-peer"),
            std::string::npos)
      << w.at(2).fault();
  EXPECT_EQ(w.at(2).fault_code(), 3);
  // The others replace nobody, and the newer one goes on with what is there.
  EXPECT_EQ(context(0).counters.logs_given_up, 0U);
  w.at(2).set_features(features_known); // its runner starts it again
  w.run_for(3s);
  EXPECT_EQ(w.at(2).fault(), "");
  EXPECT_EQ(context(2).replicas.size(), shards);
  EXPECT_EQ(ask(2, key(0), "add").status, reply_status::ok);
}

} // namespace
} // namespace banyan::sim
