// A voter that is gone for good is replaced, state and all.
#include "tests/integration/integration.hpp"

namespace banyan::test {
namespace {

constexpr std::size_t value_bytes = 500'000;
constexpr int values = 40; // 20 MB

TEST(replace, a_voter_lost_for_good_is_replaced_in_10_s_with_20_mb_of_state) {
  process_mesh mesh{{{"here"}, {"here"}, {"here"}, {"there"}}};
  const words_on_failure words{mesh};
  mesh.start(0);
  mesh.start(1);
  mesh.start(2);
  mesh.wait_members(3);
  mesh.deploy("kv", "name = \"kv\"\nmodule = \"kv\"\nshards = 1\n"
                    "replicas = 3\n"
                    "replace_after = \"2s\"\n");
  mesh.wait_healthy("kv", 3);
  const auto path = [](int i) {
    return "/v1/apps/kv/actors/big-" + std::to_string(i);
  };
  for (int i = 0; i < values; ++i) {
    std::string body = R"({"value":")";
    body.append(value_bytes, static_cast<char>('a' + i % 26));
    const auto r = mesh.command(0, path(i) + "/put", body + "\"}", 20s);
    ASSERT_EQ(r.status, 200) << r.body;
  }
  mesh.start(3); // the only candidate, in another region
  mesh.wait_members(4);
  const auto leader = mesh.leader_of("kv");
  ASSERT_TRUE(leader);
  const auto victim = (*leader + 1) % 3;
  const auto gone = mesh.node(victim);
  mesh.kill(victim);
  const auto killed = now();
  const bool replaced = wait_until(
      [&] {
        const auto row = mesh.app(*leader, "kv");
        if (!row || row->groups.empty())
          return false;
        const auto& g = row->groups.front();
        if (g.health != "healthy" || g.voters.size() != 3)
          return false;
        for (const auto& v : g.voters)
          if (v.node == gone)
            return false;
        return true;
      },
      60s, 20ms);
  const auto took =
      std::chrono::duration_cast<std::chrono::milliseconds>(now() - killed);
  ASSERT_TRUE(replaced) << mesh.last_words();
  std::cout << "replaced after " << took.count() << " ms" << std::endl;
  EXPECT_LE(took, 10s);
  // The newcomer and one old voter are a majority with the whole state.
  const auto last_old = 3 - *leader - victim;
  mesh.kill(last_old);
  for (int i = 0; i < values; i += 13) {
    const auto v = mesh.get(3, path(i) + "/get", 10s)["result"];
    EXPECT_EQ(v.text.size(), value_bytes) << i;
    EXPECT_EQ(v.text[0], 'a' + i % 26);
  }
  EXPECT_EQ(mesh.casualties(), "");
}

} // namespace
} // namespace banyan::test
