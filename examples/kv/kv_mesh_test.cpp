// The same test on real peers and on simulated ones.
#include "eventually.hpp"
#include "kv.hpp"

namespace {

template <class Mesh>
struct kv_mesh : ::testing::Test {};
TYPED_TEST_SUITE(kv_mesh, meshes);

TYPED_TEST(kv_mesh, keeps_values_through_a_kill) {
  TypeParam mesh{3};
  mesh.template add_app<kv>();
  mesh.deploy("kv");
  EXPECT_TRUE(mesh.template call<&kv::put>("k", {"a"}).ok());
  EXPECT_TRUE(mesh.template call<&kv::append>("k", {"b"}).ok());
  EXPECT_FALSE(*mesh.template call<&kv::cas>("k", {"x", "y"}));
  mesh.kill(mesh.leader_of("kv", "k"));
  EXPECT_EQ(*mesh.template call<&kv::get>("k"), "ab");
  EXPECT_TRUE(*mesh.template call<&kv::cas>("k", {"ab", "c"}));
  EXPECT_EQ(*mesh.template call<&kv::get>("k"), "c");
  EXPECT_TRUE(mesh.template call<&kv::delete_>("k").ok());
  EXPECT_EQ(*mesh.template call<&kv::get>("k"), std::nullopt);
}

} // namespace
