// The lines that tell how a run goes: "Uploading artifacts... vmlinuz done". On a terminal the line of the step that
// runs shows how far it is; elsewhere each line is written once, when its step has ended.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>

namespace nett::builder {

class Progress {
public:
    // `quiet`: nothing is written (--json). Keeps the reference.
    Progress(std::ostream& out, bool terminal, bool quiet) : out_(out), terminal_(terminal), quiet_(quiet) {}

    void begin(std::string step);
    // How far the step is, for a terminal alone: [#####-----] 52 % and what is being worked on.
    void show(std::uint64_t done, std::uint64_t all, const std::string& what);
    // The step has ended.
    void end(const std::string& result);
    void line(const std::string& text);

private:
    void erase();

    std::ostream& out_;
    bool terminal_;
    bool quiet_;
    std::string step_;
};

}  // namespace nett::builder
