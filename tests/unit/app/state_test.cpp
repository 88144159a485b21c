// Versions of stored state, and tables.
#include "harness.hpp"

namespace state_test {

struct note_v1 {
  std::string text;
  BANYAN_FIELDS(text);
};
struct note_v2 {
  std::string text;
  std::int64_t edits = 0;
  BANYAN_FIELDS(text, edits);
};
struct note_v3 {
  std::vector<std::string> lines;
  std::int64_t edits = 0;
  std::string title = "untitled"; // came later, with a default: no new version
  BANYAN_FIELDS(lines, edits, title);
};
struct notes : banyan::app<notes, note_v3, note_v2, note_v1> {
  static note_v2 upgrade(const note_v1& old) { return {old.text, 0}; }
  static note_v3 upgrade(const note_v2& old) {
    return {{old.text}, old.edits, "untitled"};
  }
  static note_v3 show(const note_v3& n) { return n; }
  static void edit(note_v3& n) { ++n.edits; }
};
BANYAN_APP(notes, show, edit)

banyan::shared_bytes stored(std::uint8_t version, const std::string& json) {
  banyan::bytes b = {0x92, version};
  banyan::append(b, banyan::json_to_msgpack(json).value());
  return banyan::shared_bytes{b};
}

using actor = banyan::test::actor<notes>;

TEST(state, each_older_version_is_lifted) {
  actor a;
  a.state = stored(1, R"({"text":"one"})");
  EXPECT_EQ(a.say("show"), R"({"lines":["one"],"edits":0,"title":"untitled"})");
  a.state = stored(2, R"({"text":"two","edits":4})");
  EXPECT_EQ(a.say("show"), R"({"lines":["two"],"edits":4,"title":"untitled"})");
  EXPECT_EQ(a.say("edit"), "null");
  EXPECT_EQ(a.state.view()[1], 3); // written as the newest
  EXPECT_EQ(a.say("show"), R"({"lines":["two"],"edits":5,"title":"untitled"})");
}

TEST(state, fields_come_and_go_without_a_version) {
  actor a;
  a.state = stored(3, R"({"edits":2,"dropped":{"any":[1,2]}})");
  EXPECT_EQ(a.say("show"), R"({"lines":[],"edits":2,"title":"untitled"})");
}

TEST(state, newer_than_the_module_is_refused) {
  actor a;
  a.state = stored(4, "{}");
  EXPECT_EQ(a.say("show"),
            "newer_state: the state is version 4; this module reads 1 to 3");
  EXPECT_EQ(a.call("edit").outcome, banyan::turn_outcome::newer_state);
}

TEST(state, damaged_bytes_fail_the_turn) {
  actor a;
  for (const banyan::bytes& bad :
       {banyan::bytes{0x00}, banyan::bytes{0x92}, banyan::bytes{0x92, 0x03},
        banyan::bytes{0x92, 0x03, 0xc0}, banyan::bytes{0x92, 0x00, 0x80},
        banyan::bytes{0x92, 0x03, 0x80, 0x00}}) {
    a.state = banyan::shared_bytes{bad};
    EXPECT_EQ(a.call("show").outcome, banyan::turn_outcome::failed);
  }
  a.state = stored(3, R"({"edits":"x"})");
  EXPECT_EQ(a.say("show"), "failed: state.edits: expected integer, got string");
}

// ---- tables -----------------------------------------------------------------

struct item {
  std::string text;
  std::int64_t n = 0;
  BANYAN_FIELDS(text, n);
};
struct shelf {
  std::int64_t writes = 0;
  banyan::table<std::string, item> items;
  banyan::table<std::int32_t, std::string> marks;
  BANYAN_FIELDS(writes, items, marks);
};
struct put_item {
  std::string key;
  std::int64_t n = 0;
  BANYAN_FIELDS(key, n);
};
struct keys {
  std::vector<std::string> list;
  BANYAN_FIELDS(list);
};
struct page {
  std::string after;
  std::uint32_t limit = 0;
  BANYAN_FIELDS(after, limit);
};
using listing = std::vector<std::string>;

struct shelves : banyan::app<shelves, shelf> {
  static void put(shelf& s, const put_item& p) {
    s.items.set(p.key, {"item " + p.key, p.n});
    ++s.writes;
  }
  static std::int64_t bump(shelf& s, const put_item& p) {
    return s.items[p.key].n += p.n;
  }
  static void erase(shelf& s, const put_item& p) { s.items.erase(p.key); }
  static std::optional<item> get(const shelf& s, const put_item& p) {
    return s.items.get(p.key);
  }
  static std::int64_t sum(const shelf& s, const keys& k) {
    std::int64_t total = 0;
    for (const auto& key : k.list)
      if (const item* i = s.items.find(key))
        total += i->n;
    return total;
  }
  static std::int64_t sum_fetched(const shelf& s, const keys& k) {
    s.items.fetch(k.list);
    return sum(s, k);
  }
  static listing first(const shelf& s, const page& p) {
    return names(s.items.first(p.limit));
  }
  static listing after(const shelf& s, const page& p) {
    return names(s.items.after(p.after, p.limit));
  }
  static listing from(const shelf& s, const page& p) {
    return names(s.items.from(p.after, p.limit));
  }
  /// Writes, erases and lists in one turn.
  static listing mixed(shelf& s, const page& p) {
    s.items.erase("a");
    s.items.erase("c");
    s.items.set("bb", {"new", 1});
    s.items["d"].n = 1000;
    return names(s.items.first(p.limit));
  }
  static std::vector<std::int32_t> mark(shelf& s) {
    for (const std::int32_t n : {5, -5, 0, 300, -300})
      s.marks.set(n, "m");
    std::vector<std::int32_t> out;
    for (const auto& [k, v] : s.marks.first(10))
      out.push_back(k);
    return out;
  }
  static bool swallow(shelf& s, const put_item& p) {
    try {
      s.items.fetch({p.key});
    } catch (...) {
      s.items.set(p.key, {"wrong", 0});
      return false;
    }
    return true;
  }
  static void too_many(shelf& s) {
    for (std::int32_t i = 0; i < 10'001; ++i)
      s.marks.set(i, "");
  }
  static void clear(shelf&, banyan::context& ctx) { ctx.remove(); }

private:
  static listing names(const banyan::table<std::string, item>::entries& rows) {
    listing out;
    for (const auto& [key, value] : rows)
      out.push_back(key + "=" + std::to_string(value.n));
    return out;
  }
};
BANYAN_APP(shelves, put, bump, erase, get, sum, sum_fetched, first, after, from,
           mixed, mark, swallow, too_many, clear)

using shelf_actor = banyan::test::actor<shelves>;

void fill(shelf_actor& a, int count) {
  for (int i = 0; i < count; ++i)
    a.call("put", R"({"key":")" + std::string(1, static_cast<char>('a' + i))
                      + R"(","n":)" + std::to_string(i) + "}");
}

TEST(tables, a_turn_writes_only_what_it_touched) {
  shelf_actor a;
  fill(a, 20);
  EXPECT_EQ(a.rows.size(), 20U);
  EXPECT_EQ(a.rounds, 0U); // set() reads nothing
  EXPECT_LT(a.state.size(), 20U);
  const auto r = a.call("bump", R"({"key":"c","n":10})");
  EXPECT_EQ(shelf_actor::said(r), "12");
  EXPECT_EQ(a.rounds, 1U);
  ASSERT_EQ(r.rows.size(), 1U);
  EXPECT_EQ(r.rows[0].key, banyan::to_bytes(std::string{"items\0c", 7}));
  EXPECT_FALSE(r.state);
  EXPECT_TRUE(a.call("bump", R"({"key":"c","n":0})").rows.empty());
  EXPECT_EQ(a.say("get", R"({"key":"c","n":0})"),
            R"({"text":"item c","n":12})");
}

TEST(tables, rows_are_erased_and_absent_ones_are_known) {
  shelf_actor a;
  fill(a, 3);
  a.call("erase", R"({"key":"b","n":0})");
  EXPECT_EQ(a.rows.size(), 2U);
  EXPECT_EQ(a.say("get", R"({"key":"b","n":0})"), "null");
  EXPECT_EQ(a.say("get", R"({"key":"zz","n":0})"), "null");
}

TEST(tables, fetch_asks_once) {
  shelf_actor a;
  fill(a, 10);
  const char* keys = R"({"list":["a","b","c","d","nope"]})";
  EXPECT_EQ(a.say("sum", keys), "6");
  EXPECT_EQ(a.rounds, 5U);
  a.rounds = 0;
  EXPECT_EQ(a.say("sum_fetched", keys), "6");
  EXPECT_EQ(a.rounds, 1U);
}

TEST(tables, rounds_are_bounded) {
  shelf_actor a;
  std::string keys;
  for (int i = 0; i < 100; ++i)
    keys += (i == 0 ? "\"k" : ",\"k") + std::to_string(i) + "\"";
  EXPECT_EQ(a.say("sum", R"({"list":[)" + keys + "]}"),
            "failed: sum: asked for rows more than 64 times; name them first "
            "with table::fetch");
  EXPECT_EQ(a.rounds, 64U);
}

TEST(tables, pages_in_key_order) {
  shelf_actor a;
  fill(a, 6);
  EXPECT_EQ(a.say("first", R"({"after":"","limit":2})"), R"(["a=0","b=1"])");
  EXPECT_EQ(a.rounds, 1U);
  EXPECT_EQ(a.say("after", R"({"after":"b","limit":2})"), R"(["c=2","d=3"])");
  EXPECT_EQ(a.say("from", R"({"after":"b","limit":2})"), R"(["b=1","c=2"])");
  EXPECT_EQ(a.say("after", R"({"after":"e","limit":9})"), R"(["f=5"])");
  EXPECT_EQ(a.say("after", R"({"after":"f","limit":9})"), "[]");
}

TEST(tables, a_short_answer_to_a_range_is_continued) {
  shelf_actor a;
  fill(a, 10);
  a.limit = 3; // the replica's own limit
  EXPECT_EQ(a.say("first", R"({"after":"","limit":8})"),
            R"(["a=0","b=1","c=2","d=3","e=4","f=5","g=6","h=7"])");
  EXPECT_EQ(a.rounds, 3U);
}

TEST(tables, a_list_sees_the_turns_own_writes) {
  shelf_actor a;
  fill(a, 5);
  EXPECT_EQ(a.say("mixed", R"({"after":"","limit":3})"),
            R"(["b=1","bb=1","d=1000"])");
  EXPECT_EQ(a.rows.size(), 4U);
  EXPECT_EQ(a.say("first", R"({"after":"","limit":9})"),
            R"(["b=1","bb=1","d=1000","e=4"])");
}

TEST(tables, integer_keys_are_in_order_of_value) {
  shelf_actor a;
  EXPECT_EQ(a.say("mark"), "[-300,-5,0,5,300]");
  EXPECT_EQ(a.say("mark"), "[-300,-5,0,5,300]");
}

TEST(tables, a_handler_that_swallows_the_missing_row_runs_again) {
  shelf_actor a;
  EXPECT_EQ(a.say("swallow", R"({"key":"x","n":0})"), "true");
  EXPECT_TRUE(a.rows.empty());
}

TEST(tables, one_turn_writes_a_bounded_number_of_rows) {
  shelf_actor a;
  EXPECT_EQ(a.say("too_many"), "failed: too_many: the module's result is "
                               "refused: more than 10000 rows");
}

TEST(tables, remove_takes_them_along) {
  shelf_actor a;
  fill(a, 3);
  EXPECT_TRUE(a.call("clear").removed);
  EXPECT_EQ(a.say("first", R"({"after":"","limit":9})"), "[]");
}

TEST(tables, are_plain_memory_in_a_unit_test) {
  shelf s;
  shelves::put(s, {"x", 4});
  EXPECT_EQ(shelves::bump(s, {"x", 1}), 5);
  EXPECT_EQ(shelves::mixed(s, {"", 9}), (listing{"bb=1", "d=1000", "x=5"}));
  const shelf copy = s;
  EXPECT_EQ(shelves::get(copy, {"x", 0})->n, 5);
}

} // namespace state_test
