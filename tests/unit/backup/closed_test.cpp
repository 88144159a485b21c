// A group that is closed takes nothing but what a restore loads; one that lost
// its majority goes on from a survivor in a new lineage.
#include "actors/pure/backup/entries.hpp"
#include "tests/unit/replica/rules.hpp"

namespace banyan::test {
namespace {

struct closed_group : replica_rules {
  void set_closed(bool closed) {
    for (std::size_t n = 0; n < w.nodes.size(); ++n) {
      replica_effects out;
      w.nodes[n].core->set_closed(closed, w.now, out);
      w.carry(n, out);
      w.touch(n);
    }
  }
  request_frame load(const std::vector<bytes>& entries) {
    auto r = w.command("load", "load", "");
    r.kind = request_kind::load;
    r.identity = std::monostate{};
    r.argument.clear();
    writer out{r.argument};
    out.array(entries.size());
    for (const auto& e : entries)
      out.blob(e);
    return r;
  }
  std::string take(std::size_t n, copy_step step, backup::shard_image& image) {
    for (int i = 0; i < 200; ++i) {
      w.copies.clear();
      replica_effects out;
      w.nodes[n].core->on_copy(5, step, w.now, out);
      w.carry(n, out);
      w.touch(n);
      w.run_until([&] { return !w.copies.empty(); }, 2s);
      if (w.copies.empty() || w.copies[0].kind == copy_given::what::failed)
        return "failed";
      if (w.copies[0].kind == copy_given::what::wait) {
        w.run_for(50ms);
        continue;
      }
      bytes part{static_cast<std::uint8_t>(
          step == copy_step::rows ? backup::part_rows : backup::part_entries)};
      append(part, w.copies[0].payload);
      const bool last = w.copies[0].last;
      if (const auto why = image.add(part); !why.empty())
        return why;
      if (last)
        return {};
    }
    return "no end";
  }
};

bytes actor_entry(const std::string& actor, const bytes& state) {
  replica::turn_entry t;
  t.actor = actor;
  t.state = shared_bytes{state};
  return replica::encode(replica::entry{{}, std::move(t)});
}

TEST_F(closed_group, answers_parked_and_takes_only_what_is_loaded) {
  w.base.closed = true;
  boot();
  EXPECT_EQ(status(w.command("k", "append", "x")), reply_status::parked);
  EXPECT_EQ(status(load({actor_entry("k", to_bytes("a b"))})),
            reply_status::ok);
  set_closed(false);
  EXPECT_EQ(status(load({actor_entry("k", to_bytes("c"))})),
            reply_status::conflict);
  EXPECT_EQ(status(w.command("k", "append", "x")), reply_status::ok);
  w.check_states_equal();
}

TEST_F(closed_group, refuses_entries_that_no_restore_writes) {
  w.base.closed = true;
  boot();
  const auto refused = [&](replica::entry_body body) {
    return status(load({replica::encode(replica::entry{{}, std::move(body)})}))
           == reply_status::invalid_argument;
  };
  EXPECT_TRUE(refused(replica::stop_entry{true}));
  EXPECT_TRUE(refused(replica::checkpoint_entry{}));
  replica::turn_entry t;
  t.actor = "k";
  t.by = replica::by_session{1, 2, 0};
  EXPECT_TRUE(refused(t));
  t.by = replica::by_stream{};
  EXPECT_TRUE(refused(t));
  EXPECT_EQ(status(load({to_bytes("no entry")})),
            reply_status::invalid_argument);
  EXPECT_EQ(status(load({})), reply_status::invalid_argument);
}

TEST_F(closed_group, restored_from_a_copy_holds_what_the_copy_held) {
  w.base.state_commit_interval = 200ms;
  boot();
  for (int i = 0; i < 25; ++i)
    ASSERT_EQ(status(w.command("k" + std::to_string(i % 9), "append",
                               std::to_string(i))),
              reply_status::ok);
  auto keyed = w.command("k1", "append", "once");
  keyed.identity = idempotency_request{"key"};
  ASSERT_EQ(status(keyed), reply_status::ok);
  ASSERT_EQ(status(w.command("k2", "rows", "a 1")), reply_status::ok);
  w.run_for(1s);
  backup::shard_image image{w.base.group};
  ASSERT_EQ(take((leader + 1) % 3, copy_step::rows, image), "");
  ASSERT_EQ(take((leader + 1) % 3, copy_step::entries, image), "");
  ASSERT_EQ(image.finish(), "");
  std::vector<bytes> entries;
  backup::restored_counts counts;
  ASSERT_EQ(backup::make_entries(image, 0, {image.marks()},
                                 backup::consistent_cut({image.marks()}),
                                 w.base.group.app, w.base.group.app, "a", "a",
                                 counts,
                                 [&](const bytes& e) {
                                   entries.push_back(e);
                                   return true;
                                 }),
            "");
  EXPECT_EQ(counts.actors, 9U);
  EXPECT_EQ(counts.answers, 1U);

  world fresh{11};
  fresh.base.closed = true;
  for (std::size_t i = 0; i < 3; ++i)
    fresh.boot(i);
  const auto n = fresh.await_leader();
  auto loaded = load(entries);
  loaded.group = keyed.group = fresh.base.group;
  for (int twice = 0; twice < 2; ++twice) // an answer may be lost
    ASSERT_EQ(fresh.ask(n, loaded).status, reply_status::ok);
  for (std::size_t i = 0; i < 3; ++i) {
    replica_effects out;
    fresh.nodes[i].core->set_closed(false, fresh.now, out);
    fresh.carry(i, out);
  }
  for (int i = 0; i < 9; ++i)
    EXPECT_EQ(fresh.words("k" + std::to_string(i)),
              w.words("k" + std::to_string(i)));
  EXPECT_EQ(fresh.ask(n, keyed).status, reply_status::ok);
  EXPECT_EQ(fresh.words("k1"), w.words("k1")); // not appended again
  fresh.check_states_equal();
  EXPECT_TRUE(fresh.problems.empty());
}

TEST_F(closed_group, a_survivor_goes_on_alone_and_hears_no_old_lineage) {
  boot();
  for (int i = 0; i < 5; ++i)
    ASSERT_EQ(status(w.command("k", "append", std::to_string(i))),
              reply_status::ok);
  w.run_for(1s);
  const auto survivor = (leader + 1) % 3;
  const auto before = w.words("k");
  std::vector<std::size_t> lost;
  for (std::size_t n = 0; n < 3; ++n)
    if (n != survivor) {
      w.crash(n);
      lost.push_back(n);
    }
  w.run_for(2s);
  EXPECT_EQ(w.leader(), SIZE_MAX);
  const lineage_id next{std::array<std::uint8_t, 16>{77}};
  for (int twice = 0; twice < 2; ++twice) {
    replica_effects out;
    w.nodes[survivor].core->recover(next, w.now, out);
    w.carry(survivor, out);
    w.touch(survivor);
    w.run_for(1s);
    leader = w.await_leader();
    EXPECT_EQ(leader, survivor);
  }
  EXPECT_EQ(w.words("k"), before);
  EXPECT_EQ(status(w.command("k", "append", "more")), reply_status::ok);
  // Those that come back are of the parent: they lead nothing, and change
  // nothing here.
  w.boot(lost[0]);
  w.run_for(5s);
  EXPECT_EQ(w.await_leader(), survivor);
  EXPECT_EQ(w.nodes[survivor].core->status().configuration.voters.size(), 1U);
  EXPECT_EQ(status(w.command("k", "append", "still")), reply_status::ok);
  EXPECT_FALSE(w.nodes[lost[0]].core->status().serving);
}

} // namespace
} // namespace banyan::test
