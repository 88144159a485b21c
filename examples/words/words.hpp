#pragma once
#include <banyan/stateless.hpp>

#include <algorithm>
#include <map>

// Counts the words of a text: CPU work on what a call brings along.

struct passage {
  std::string body;
  std::int64_t top = 10; ///< so many of the most frequent words, at most 100
  BANYAN_FIELDS(body, top);
};
struct word_count {
  std::string word;
  std::int64_t times = 0;
  BANYAN_FIELDS(word, times);
};
struct word_report {
  std::int64_t words = 0;
  std::int64_t distinct = 0;
  std::vector<word_count> top; ///< most frequent first, then by the alphabet
  BANYAN_FIELDS(words, distinct, top);
};

struct words : banyan::stateless<words> {
  /// A word is a run of letters, digits and bytes beyond ASCII; A to Z count as
  /// a to z.
  static banyan::reply<word_report> count(const banyan::no_state&,
                                          const passage& t) {
    if (t.top < 0 || t.top > 100)
      return banyan::reject("too_many", "top must be 0 to 100");
    std::map<std::string, std::int64_t> times;
    word_report r;
    std::string word;
    const auto end_word = [&] {
      if (word.empty())
        return;
      ++times[word];
      ++r.words;
      word.clear();
    };
    for (const char c : t.body)
      if (c >= 'A' && c <= 'Z')
        word += static_cast<char>(c - 'A' + 'a');
      else if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')
               || static_cast<unsigned char>(c) >= 0x80)
        word += c;
      else
        end_word();
    end_word();
    r.distinct = static_cast<std::int64_t>(times.size());
    for (const auto& [w, n] : times)
      r.top.push_back({w, n});
    std::stable_sort(
        r.top.begin(), r.top.end(),
        [](const auto& a, const auto& b) { return a.times > b.times; });
    if (r.top.size() > static_cast<std::size_t>(t.top))
      r.top.resize(static_cast<std::size_t>(t.top));
    return r;
  }
};
BANYAN_APP(words, count)
