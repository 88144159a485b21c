#pragma once
#include "store/detail/document_file.hpp"

#include <vector>

namespace banyan::store::detail {

/// The loop thread's copy of what is synced, shared by the real and the virtual
/// documents.
class document_front : public documents {
public:
  explicit document_front(const document_file& file)
      : content_{file.content()} {}

  [[nodiscard]] std::optional<shared_bytes>
  find(std::uint8_t kind, const_bytes name) const override {
    const auto found = content_.find({kind, name.copy()});
    if (found == content_.end())
      return std::nullopt;
    return found->second;
  }
  [[nodiscard]] listed list(std::uint8_t kind) const override {
    listed out;
    for (auto at = content_.lower_bound({kind, bytes{}});
         at != content_.end() && at->first.first == kind; ++at)
      out.emplace_back(at->first.second, at->second);
    return out;
  }
  [[nodiscard]] bool damaged() const override {
    return find(damage_kind, as_bytes("damaged")).has_value();
  }
  result<void, store_error> forget_damage() override {
    return store_now({{damage_kind, to_bytes("damaged"), std::nullopt}});
  }
  result<void, store_error> put_now(std::vector<change> changes) override {
    for (const auto& c : changes)
      BANYAN_ASSERT(c.kind != damage_kind);
    return store_now(std::move(changes));
  }

protected:
  /// Synced when it returns; then `learn`s it.
  virtual result<void, store_error> store_now(std::vector<change> changes) = 0;

  void learn(const std::vector<change>& changes) {
    for (const auto& c : changes)
      if (c.content)
        content_[{c.kind, c.name}] = shared_bytes{*c.content};
      else
        content_.erase({c.kind, c.name});
  }

private:
  document_map content_;
};

} // namespace banyan::store::detail
