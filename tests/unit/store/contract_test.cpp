// One suite for the real disk and the simulated one: what holds for one holds
// for the other.
#include "contract_rig.hpp"

namespace banyan::store::test {
namespace {

using disks = testing::Types<real_disk, simulated_disk>;
TYPED_TEST_SUITE(contract, disks);

TYPED_TEST(contract, log_completes_in_order_and_comes_back) {
  this->listen();
  EXPECT_EQ(this->l().oldest_pending(), never);
  for (std::uint64_t i = 1; i <= 200; ++i)
    this->l().submit(this->order(static_cast<std::uint8_t>(i % 7),
                                 {entry_at((i - 1) / 7 + 1, 1, "data")}));
  EXPECT_NE(this->l().oldest_pending(), never);
  EXPECT_TRUE(this->done.empty());
  this->wait_for(200);
  EXPECT_EQ(this->l().oldest_pending(), never);
  for (std::size_t i = 0; i < 200; ++i) {
    EXPECT_EQ(this->done[i].order.number, i + 1);
    EXPECT_FALSE(this->done[i].error);
  }
  this->rig.restart();
  const auto& found = this->rig.use().recovered_logs;
  EXPECT_FALSE(found.damaged);
  ASSERT_EQ(found.logs.size(), 7u);
  for (const auto& one : found.logs) {
    EXPECT_GE(one.entries.size(), 28u);
    EXPECT_FALSE(one.damaged);
  }
}

TYPED_TEST(contract, log_cut_and_drop) {
  this->listen();
  this->l().submit(this->order(1, {entry_at(1, 1, "a"), entry_at(2, 1, "b")}));
  this->l().submit(this->order(2, {entry_at(1, 1, "z")}));
  this->l().cut(group_number(1), replica_number(1), log_index{1});
  this->l().drop(this->order(2, {}).order);
  this->wait_for(3);
  this->rig.restart();
  const auto& found = this->rig.use().recovered_logs;
  ASSERT_EQ(found.logs.size(), 1u);
  EXPECT_EQ(found.logs[0].base.index, log_index{1});
  EXPECT_EQ(found.logs[0].base.hash, chain_hash({}, entry_at(1, 1, "a")));
}

TYPED_TEST(contract, log_stop_writes_what_was_submitted) {
  this->l().submit(this->order(1, {entry_at(1, 1, "a")}));
  this->rig.restart();
  ASSERT_EQ(this->rig.use().recovered_logs.logs.size(), 1u);
}

TYPED_TEST(contract, state_rows_round_trip) {
  ASSERT_TRUE(this->commit({this->rows(1, 5, {{"a", "1"}, {"b", "2"}}),
                            this->rows(2, 9, {{"a", "other"}})})
                  .ok());
  EXPECT_EQ(this->text(1, "a"), "1");
  EXPECT_EQ(this->text(2, "a"), "other");
  EXPECT_EQ(this->text(1, "c"), "nothing");
  EXPECT_EQ(this->text(3, "a"), "nothing");
  auto r = this->read(1, "b");
  EXPECT_EQ((**r).index, log_index{5});
  ASSERT_TRUE(
      this->commit({this->rows(1, 6, {{"a", ""}}, {"b", "none"})}).ok());
  EXPECT_EQ(this->text(1, "a"), "");
  EXPECT_EQ(this->text(1, "b"), "nothing");
  this->rig.restart();
  const auto& found = this->rig.use().recovered_states;
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].replica, replica_number(1));
  EXPECT_EQ(found[0].meta.index, log_index{6});
  EXPECT_EQ(found[0].meta.term, term{3});
  EXPECT_EQ(found[0].meta.opaque, to_bytes("meta"));
  EXPECT_EQ(this->text(1, "a"), "");
}

TYPED_TEST(contract, state_reads_see_commits_given_before) {
  std::vector<std::string> order;
  this->s().commit({this->rows(1, 1, {{"k", "v"}})},
                   [&](auto) { order.push_back("commit"); });
  this->s().read(group_number(1), to_bytes("k"), [&](auto r) {
    ASSERT_TRUE(r.ok() && *r);
    order.push_back(to_text((*r)->value.view()));
  });
  this->rig.run_until([&] { return order.size() == 2; });
  EXPECT_EQ(order, (std::vector<std::string>{"commit", "v"}));
}

TYPED_TEST(contract, state_refuses_one_group_of_a_batch_and_stores_the_others) {
  ASSERT_TRUE(this->commit({this->rows(1, 1, {{"k", "v"}}),
                            this->rows(2, 1, {{"k", "v"}}),
                            this->rows(3, 1, {{"k", "v"}})})
                  .ok());
  auto stale = this->rows(2, 2, {{"k", "not this"}});
  stale.order.replica = replica_number(9);
  auto large = this->rows(3, 3, {});
  large.rows.push_back(
      {bytes(row_key_max + 1, 'k'), shared_bytes{bytes{1}}, log_index{3}});
  const auto got = this->commit_each(
      {this->rows(1, 2, {{"k", "w"}}), stale,
       this->rows(3, 2, {{"k", "goes with the next part"}}), large,
       this->rows(4, 1, {{"k", "new"}}), this->rows(1, 3, {{"l", "x"}})});
  ASSERT_EQ(got.size(), 6u);
  ASSERT_TRUE(got[0] && got[4] && got[5]);
  EXPECT_EQ(got[5]->index, log_index{3});
  EXPECT_EQ(got[5]->group, group_number(1));
  ASSERT_FALSE(got[1] || got[2] || got[3]);
  EXPECT_EQ(got[1].error().code, store_errc::stale);
  EXPECT_EQ(got[2].error().code, store_errc::too_large);
  EXPECT_EQ(got[3].error().code, store_errc::too_large);
  EXPECT_EQ(this->text(1, "k") + this->text(1, "l"), "wx");
  EXPECT_EQ(this->text(2, "k"), "v");
  EXPECT_EQ(this->text(3, "k"), "v");
  EXPECT_EQ(this->text(4, "k"), "new");
}

TYPED_TEST(contract, state_of_another_replica_is_stale) {
  ASSERT_TRUE(this->commit({this->rows(1, 1, {{"k", "v"}})}).ok());
  auto c = this->rows(1, 2, {{"k", "w"}});
  c.order.replica = replica_number(2);
  EXPECT_EQ(this->commit({c}).error().code, store_errc::stale);
  auto without_meta = this->rows(5, 2, {{"k", "w"}});
  without_meta.meta.reset();
  EXPECT_EQ(this->commit({without_meta}).error().code, store_errc::stale);
  EXPECT_EQ(this->text(1, "k"), "v");
}

TYPED_TEST(contract, state_scans_in_pages_by_prefix) {
  std::vector<std::pair<std::string, std::string>> put;
  for (int i = 0; i < 100; ++i)
    put.push_back({"p" + std::to_string(1000 + i), std::string(20, 'v')});
  put.push_back({"o", "before"});
  put.push_back({"q", "after"});
  const std::string long_key = "p9" + std::string(5000, 'x');
  put.push_back({long_key, "long"});
  ASSERT_TRUE(this->commit({this->rows(1, 1, put)}).ok());
  scan_request request;
  request.prefix = to_bytes("p");
  request.rows_max = 30;
  std::vector<std::string> keys;
  std::size_t pages = 0;
  do {
    const auto page = this->scan(1, request);
    EXPECT_LE(page.rows.size(), 30u);
    for (const auto& r : page.rows)
      keys.push_back(to_text(r.key));
    request.from = page.next;
    ++pages;
  } while (!request.from.empty());
  EXPECT_EQ(pages, 4u);
  ASSERT_EQ(keys.size(), 101u);
  EXPECT_TRUE(std::is_sorted(keys.begin(), keys.end()));
  EXPECT_EQ(keys.back(), long_key);
  EXPECT_EQ(this->text(1, long_key), "long");
  EXPECT_EQ(this->text(1, long_key + "x"), "nothing");
  request.from = {};
  request.bytes_max = 1; // one row at least
  EXPECT_EQ(this->scan(1, request).rows.size(), 1u);
  request.from = scan_key(to_bytes(long_key));
  EXPECT_EQ(this->scan(1, request).rows.size(), 1u);
}

TYPED_TEST(contract, staged_install_switches_at_once) {
  ASSERT_TRUE(
      this->commit({this->rows(1, 1, {{"old", "o"}, {"k", "v"}})}).ok());
  order_id order{group_number(1), replica_number(2), term{4}, 77};
  ASSERT_TRUE(
      this->wait([&](auto f) { this->s().stage_begin(order, f); }).ok());
  auto put = this->rows(1, 8, {{"k", "new"}, {"gone", "x"}}).rows;
  ASSERT_TRUE(
      this->wait([&](auto f) { this->s().stage_put(order, put, f); }).ok());
  auto erase = this->rows(1, 9, {}, {"gone"}).rows;
  ASSERT_TRUE(
      this->wait([&](auto f) { this->s().stage_put(order, erase, f); }).ok());
  EXPECT_EQ(this->text(1, "k"), "v"); // not yet
  ASSERT_TRUE(this->commit({this->rows(1, 2, {{"k", "w"}})}).ok());
  auto wrong = order;
  wrong.number = 78;
  EXPECT_EQ(this->wait([&](auto f) { this->s().stage_put(wrong, put, f); })
                .error()
                .code,
            store_errc::stale);
  auto meta = *this->rows(1, 9, {}).meta;
  ASSERT_TRUE(this->finish(order, meta).ok());
  EXPECT_EQ(this->text(1, "k"), "new");
  EXPECT_EQ(this->text(1, "old"), "nothing");
  EXPECT_EQ(this->text(1, "gone"), "nothing");
  this->rig.restart();
  ASSERT_EQ(this->rig.use().recovered_states.size(), 1u);
  EXPECT_EQ(this->rig.use().recovered_states[0].replica, replica_number(2));
  EXPECT_EQ(this->rig.use().recovered_states[0].meta.index, log_index{9});
  EXPECT_EQ(this->text(1, "k"), "new");
}

TYPED_TEST(contract, staged_install_dropped_by_abort_or_restart) {
  ASSERT_TRUE(this->commit({this->rows(1, 1, {{"k", "v"}})}).ok());
  order_id order{group_number(1), replica_number(1), term{4}, 77};
  auto put = this->rows(1, 8, {{"k", "new"}}).rows;
  ASSERT_TRUE(
      this->wait([&](auto f) { this->s().stage_begin(order, f); }).ok());
  ASSERT_TRUE(
      this->wait([&](auto f) { this->s().stage_put(order, put, f); }).ok());
  ASSERT_TRUE(
      this->wait([&](auto f) { this->s().stage_abort(order, f); }).ok());
  EXPECT_EQ(this->wait([&](auto f) { this->s().stage_put(order, put, f); })
                .error()
                .code,
            store_errc::stale);
  ASSERT_TRUE(
      this->wait([&](auto f) { this->s().stage_begin(order, f); }).ok());
  ASSERT_TRUE(
      this->wait([&](auto f) { this->s().stage_put(order, put, f); }).ok());
  this->rig.restart();
  EXPECT_EQ(this->finish(order, {}).error().code, store_errc::stale);
  EXPECT_EQ(this->text(1, "k"), "v");
}

TYPED_TEST(contract, state_drop_forgets_the_group) {
  ASSERT_TRUE(this->commit({this->rows(1, 1, {{"k", "v"}}),
                            this->rows(2, 1, {{"k", "w"}})})
                  .ok());
  ASSERT_TRUE(
      this->wait([&](auto f) {
            this->s().drop({group_number(1), replica_number(1), term{1}, 5}, f);
          })
          .ok());
  EXPECT_EQ(this->text(1, "k"), "nothing");
  this->rig.restart();
  EXPECT_EQ(this->rig.use().recovered_states.size(), 1u);
  EXPECT_EQ(this->text(2, "k"), "w");
}

TYPED_TEST(contract, state_refuses_too_large) {
  auto c = this->rows(1, 1, {{std::string(row_key_max + 1, 'k'), "v"}});
  EXPECT_EQ(this->commit({c}).error().code, store_errc::too_large);
}

TYPED_TEST(contract, documents_put_find_list) {
  using change = documents::change;
  auto& d = this->d();
  ASSERT_TRUE(d.put_now({change{1, to_bytes("incarnation"), bytes{7}}}).ok());
  EXPECT_EQ(d.find(1, as_bytes("incarnation"))->view(), const_bytes{bytes{7}});
  std::optional<result<void, store_error>> got;
  d.put({change{2, to_bytes("b"), to_bytes("B")},
         change{2, to_bytes("a"), to_bytes("A")},
         change{1, to_bytes("incarnation"), bytes{8}}},
        [&](auto r) { got = std::move(r); });
  EXPECT_FALSE(got);
  EXPECT_FALSE(d.find(2, as_bytes("a"))); // not synced yet
  this->rig.run_until([&] { return got.has_value(); });
  ASSERT_TRUE(got->ok());
  const auto listed = d.list(2);
  ASSERT_EQ(listed.size(), 2u);
  EXPECT_EQ(to_text(listed[0].first), "a");
  ASSERT_TRUE(d.put_now({change{2, to_bytes("a"), std::nullopt}}).ok());
  EXPECT_EQ(d.put_now({change{2, bytes(2000), std::nullopt}}).error().code,
            store_errc::too_large);
  this->rig.restart();
  EXPECT_FALSE(this->d().damaged());
  EXPECT_EQ(this->d().find(1, as_bytes("incarnation"))->view(),
            const_bytes{bytes{8}});
  EXPECT_EQ(this->d().list(2).size(), 1u);
}

TYPED_TEST(contract, nothing_completes_after_destruction) {
  bool called = false;
  this->l().on_done([&](const auto&) { called = true; });
  this->l().submit(this->order(1, {entry_at(1, 1, "a")}));
  this->s().commit({this->rows(1, 1, {{"k", "v"}})},
                   [&](auto) { called = true; });
  this->d().put({{1, to_bytes("x"), bytes{1}}}, [&](auto) { called = true; });
  this->rig.restart();
  this->listen();
  this->l().submit(this->order(1, {entry_at(2, 1, "b")}));
  this->wait_for(1);
  EXPECT_FALSE(called);
}

} // namespace
} // namespace banyan::store::test
