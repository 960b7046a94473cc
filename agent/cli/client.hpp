// The management API as nettsh uses it: lines in, output and a prompt out.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <tl/expected.hpp>

namespace nett::cli {

// How one line ended.
struct Answer {
    std::string error;         // not empty: the command failed, or the agent does not answer
    std::string prompt;        // for the next line; empty when the agent does not answer
    bool left = false;         // the session is over
    bool unreachable = false;  // the agent does not answer; `error` has the remedy
};

struct Suggestion {
    std::string token;
    std::string help;
    bool insertable = false;
};

struct Suggestions {
    std::vector<Suggestion> list;
    bool complete = false;  // the line is a whole command already
};

// One session with the agent behind a Unix socket. One thread, but for interrupt().
class Client {
public:
    // The error says why nobody answers at `socket`, and the remedy.
    static tl::expected<Client, std::string> connect(const std::string& socket);
    Client(Client&&) noexcept;
    ~Client();

    // Runs a line; `output` gets its parts as they come.
    Answer execute(const std::string& line, bool json, const std::function<void(const std::string&)>& output);
    // What may follow `line`; empty when the agent does not answer.
    Suggestions complete(const std::string& line);
    // Cancels the line that runs; false when none does. Thread-safe.
    bool interrupt();

private:
    struct Impl;
    explicit Client(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace nett::cli
