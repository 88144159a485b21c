// When a start may not trust what its directory says (DESIGN section 7).
#include "actors/node/amnesia.hpp"
#include "actors/node/names.hpp"
#include "base/codec.hpp"
#include "store/virtual_disk.hpp"

#include <gtest/gtest.h>

namespace banyan::actors {
namespace {

class memory : public ::testing::Test {
protected:
  memory() {
    put(document(document_kind::replica, bytes{1}, bytes(16, 7)));
    put(document(document_kind::reservation, bytes{2}, bytes(16, 8)));
    put(document(document_kind::papers, bytes{3}, bytes{9}));
    bytes five;
    writer{five}.uint(5);
    put(document(document_kind::incarnation, {}, five));
  }
  void put(store::documents::change c) {
    ASSERT_TRUE(documents().put_now({std::move(c)}).ok());
  }
  store::documents& documents() { return *disk.documents; }
  bool has(document_kind k) {
    return !documents().list(static_cast<std::uint8_t>(k)).empty();
  }
  std::optional<std::string> start(std::uint64_t inode, bool clean) {
    auto r = recollect(documents(), {inode, clean});
    EXPECT_TRUE(r.ok());
    return *r;
  }

  store::virtual_disk machine{{},
                              [](duration, const std::function<void()>&) {},
                              [] { return time_point{}; }};
  store::disk disk = machine.open();
};

TEST_F(memory, an_ordinary_restart_keeps_everything) {
  EXPECT_FALSE(start(100, true));
  EXPECT_FALSE(start(100, false));
  EXPECT_TRUE(has(document_kind::replica));
  EXPECT_TRUE(has(document_kind::reservation));
}

TEST_F(memory, a_copy_of_a_peer_that_was_not_stopped_keeps_no_replica) {
  EXPECT_FALSE(start(100, false));
  const auto why = start(200, false);
  ASSERT_TRUE(why);
  EXPECT_NE(why->find("copy"), std::string::npos);
  EXPECT_FALSE(has(document_kind::replica));
  EXPECT_FALSE(has(document_kind::reservation));
  EXPECT_TRUE(has(document_kind::papers));
  EXPECT_FALSE(start(200, false)) << "once";
}

TEST_F(memory, a_copy_of_a_stopped_peer_keeps_its_replicas) {
  EXPECT_FALSE(start(100, false));
  EXPECT_FALSE(start(200, true));
  EXPECT_TRUE(has(document_kind::replica));
  EXPECT_FALSE(start(200, false)) << "the copy is now the original";
  EXPECT_TRUE(start(100, false)) << "and the other one is the copy";
}

TEST_F(memory, without_an_identity_file_nothing_follows) {
  EXPECT_FALSE(start(100, false));
  EXPECT_FALSE(start(0, false));
  EXPECT_TRUE(has(document_kind::replica));
}

TEST_F(memory, what_was_given_up_while_running_stays_so_until_a_start_saw_it) {
  for (auto& c : give_up_changes(documents(), "restored", incarnation{9}))
    put(std::move(c));
  EXPECT_FALSE(has(document_kind::replica));
  EXPECT_EQ(read_incarnation(documents()), incarnation{9});
  EXPECT_EQ(forgetful(documents(), {}), "restored");
  EXPECT_EQ(start(100, true), "restored");
  EXPECT_FALSE(forgetful(documents(), {100, false}));
}

TEST_F(memory, giving_up_never_lowers_the_incarnation) {
  for (auto& c : give_up_changes(documents(), "restored", incarnation{3}))
    put(std::move(c));
  EXPECT_EQ(read_incarnation(documents()), incarnation{5});
}

} // namespace
} // namespace banyan::actors
