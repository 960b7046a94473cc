// Line editing on a terminal: libedit with Tab, an immediate `?`, and a history in the home folder.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "agent/cli/client.hpp"

namespace nett::cli {

// What may be printed above the prompt while a line is edited.
struct Notices {
    int descriptor = -1;  // readable when there are some; -1: never
    std::function<std::string()> take = {};
};

// Owns the terminal's modes while read_line() runs. One at a time.
class Editor {
public:
    // `complete` is asked at Tab and `?`.
    Editor(std::function<Suggestions(const std::string&)> complete, Notices notices);
    ~Editor();
    Editor(const Editor&) = delete;
    Editor& operator=(const Editor&) = delete;

    // One line without its newline; nothing at the end of the input (Ctrl-D). Ctrl-C empties the line.
    std::optional<std::string> read_line(const std::string& prompt);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace nett::cli
