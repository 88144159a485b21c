#pragma once
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace banyan::test {

/// A fresh folder that goes away with its test.
class folder {
public:
  folder() {
    std::string name =
        (std::filesystem::temp_directory_path() / "banyan-XXXXXX").string();
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    path_ = name;
  }
  folder(const folder&) = delete;
  folder& operator=(const folder&) = delete;
  ~folder() { std::filesystem::remove_all(path_); }
  std::filesystem::path operator/(const std::string& name) const {
    return path_ / name;
  }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

private:
  std::filesystem::path path_;
};

inline std::string text_of(const std::filesystem::path& file) {
  std::ifstream in{file};
  return {std::istreambuf_iterator<char>{in}, {}};
}

inline void put(const std::filesystem::path& file, const std::string& text,
                mode_t mode = 0600) {
  std::ofstream{file, std::ios::trunc} << text;
  ASSERT_EQ(::chmod(file.c_str(), mode), 0);
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

} // namespace banyan::test
