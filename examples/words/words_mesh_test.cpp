// The same test on real peers and on simulated ones.
#include "eventually.hpp"
#include "words.hpp"

namespace {

template <class Mesh>
struct words_mesh : ::testing::Test {};
TYPED_TEST_SUITE(words_mesh, meshes);

// A long body is worked on wherever an instance is, through any peer.
TYPED_TEST(words_mesh, counts_a_long_text_through_any_peer) {
  TypeParam mesh{3};
  mesh.template add_app<words>();
  banyan::testing::app_options one;
  one.stateless = true;
  one.instances = 1;
  mesh.deploy("words", one);
  passage t;
  t.top = 2;
  for (int i = 0; i < 20'000; ++i)
    t.body += i % 4 == 0 ? "the " : "word" + std::to_string(i % 100) + " ";
  for (std::size_t n = 0; n < mesh.size(); ++n) {
    const auto r = mesh.template call_at<&words::count>(n, "-", t);
    ASSERT_TRUE(r.ok()) << r.error().message;
    EXPECT_EQ(r->words, 20'000);
    EXPECT_EQ(r->distinct, 76);
    ASSERT_EQ(r->top.size(), 2U);
    EXPECT_EQ(r->top[0].word, "the");
    EXPECT_EQ(r->top[0].times, 5'000);
    EXPECT_EQ(r->top[1].times, 200);
  }
}

} // namespace
