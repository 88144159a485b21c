#pragma once
#include "linear/models.hpp"

#include <map>
#include <string>
#include <vector>

/// Histories in files, for checker_test.cpp. A call whose answer is missing or
/// `:info` is open; a read or write that is answered `:fail` had no effect and
/// is left out.
namespace banyan::linear {

using kv_history = std::vector<call<kv_operation>>;

/// Jepsen's log of one register, one event on a line:
///   INFO  jepsen.util - 4  :invoke  :cas  [2 3]
kv_history read_jepsen(const std::string& text);

/// Porcupine's form, which our own histories have, too; an answer is a line
/// with :ok. Reading "" is reading nothing. `;` begins a comment.
///   {:process 9, :type :invoke, :f :append, :key "0", :value "x"}
/// :f is :get, :put, :append, :delete or :cas, with :value ["old" "new"] and
/// the answer `true` or `false`.
kv_history read_edn(const std::string& text);

/// `{ "file": true, … }`: is it linearizable?
std::map<std::string, bool> read_verdicts(const std::string& text);

} // namespace banyan::linear
