// Tables of a durable app on a mesh: each entry is stored for itself, on every
// voter (DESIGN section 6).
#include "eventually.hpp"

#include <banyan/app.hpp>

namespace {

struct line {
  std::string name;
  std::int64_t n = 0;
  BANYAN_FIELDS(name, n);
};
struct shelf {
  banyan::table<std::string, line> lines;
  std::int64_t writes = 0;
  BANYAN_FIELDS(lines, writes);
};
struct stock : banyan::app<stock, shelf> {
  static std::int64_t add(shelf& s, const line& l) {
    ++s.writes;
    auto& row = s.lines[l.name];
    row.name = l.name;
    return row.n += l.n;
  }
  static std::int64_t drop(shelf& s, const line& l) {
    s.lines.erase(l.name);
    return ++s.writes;
  }
  static std::optional<std::int64_t> get(const shelf& s, const line& l) {
    const auto* row = s.lines.find(l.name);
    return row == nullptr ? std::nullopt : std::optional{row->n};
  }
  /// The next `n` behind `name`, as one text.
  static std::string page(const shelf& s, const line& l) {
    std::string out;
    for (const auto& [name, row] :
         s.lines.after(l.name, static_cast<std::size_t>(l.n)))
      out += name + "=" + std::to_string(row.n) + " ";
    return out;
  }
};
BANYAN_APP(stock, add, drop, get, page)

std::string key(int n) {
  return std::to_string(1000 + n);
}

template <class Mesh>
struct table_mesh : ::testing::Test {};
TYPED_TEST_SUITE(table_mesh, meshes);

TYPED_TEST(table_mesh, keeps_each_row_as_leaders_die) {
  TypeParam mesh{3};
  mesh.template add_app<stock>();
  mesh.deploy("stock", {"", 2, 3});
  constexpr int rows = 150;
  for (int i = 0; i < rows; ++i)
    ASSERT_EQ(*mesh.template call_at<&stock::add>(
                  static_cast<std::size_t>(i % 3), "shelf", {key(i), i}),
              i);
  const auto expect_all = [&](std::size_t by) {
    const auto get = [&](int i) {
      const auto r = mesh.template call_at<&stock::get>(by, "shelf", {key(i)});
      EXPECT_TRUE(r.ok()) << r.error().message;
      return r.ok() ? *r : std::nullopt;
    };
    EXPECT_EQ(get(7), std::nullopt);
    EXPECT_EQ(get(8), 1008);
    EXPECT_EQ(get(rows - 1), rows - 1);
    EXPECT_EQ(get(rows), std::nullopt);
    EXPECT_EQ(*mesh.template call_at<&stock::page>(by, "shelf", {key(5), 3}),
              "1006=6 1008=1008 1009=9 ");
    // The other actor's table is another one.
    EXPECT_EQ(*mesh.template call_at<&stock::page>(by, "other", {"", 3}),
              "1008=1 ");
  };
  EXPECT_EQ(*mesh.template call<&stock::drop>("shelf", {key(7)}), rows + 1);
  EXPECT_EQ(*mesh.template call<&stock::add>("shelf", {key(8), 1000}), 1008);
  EXPECT_EQ(*mesh.template call<&stock::add>("other", {key(8), 1}), 1);
  for (std::size_t by = 0; by < mesh.size(); ++by)
    expect_all(by);
  for (int round = 0; round < 2; ++round) {
    const auto led = mesh.leader_of("stock", "shelf");
    mesh.kill(led);
    expect_all((led + 1) % mesh.size());
    mesh.restart(led);
    mesh.wait_healthy();
    expect_all(led);
  }
}

} // namespace
