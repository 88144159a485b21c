// The same test on real peers and on simulated ones.
#include "counter.hpp"
#include "eventually.hpp"

namespace {

template <class Mesh>
struct counter_mesh : ::testing::Test {};
TYPED_TEST_SUITE(counter_mesh, meshes);

TYPED_TEST(counter_mesh, counts_through_a_kill) {
  TypeParam mesh{3};
  mesh.template add_app<counter>();
  mesh.deploy("counter");
  EXPECT_EQ(*mesh.template call<&counter::add>("hits", {5}), 5);
  mesh.kill(mesh.leader_of("counter", "hits"));
  EXPECT_EQ(*mesh.template call<&counter::add>("hits", {5}), 10);
  EXPECT_EQ(*mesh.template call<&counter::get>("misses"), 0);
  const auto no = mesh.template call<&counter::add>("hits", {INT64_MAX});
  EXPECT_EQ(no.error().code, "overflow");
}

} // namespace
