#include "agent/core/metrics/process.hpp"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>

namespace nett {

namespace {

double open_descriptors() {
    DIR* directory = ::opendir("/proc/self/fd");
    if (directory == nullptr) return 0;
    double count = -3;  // ".", ".." and the directory itself
    while (::readdir(directory) != nullptr) ++count;
    ::closedir(directory);
    return count;
}

double resident_bytes() {
    std::ifstream statm("/proc/self/statm");
    double total = 0;
    double resident = 0;
    statm >> total >> resident;
    return resident * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

void put_process_metrics(Metrics& metrics) {
    struct rusage usage {};
    ::getrusage(RUSAGE_SELF, &usage);
    const auto cpu = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec;
    metrics.counter({"process_cpu_seconds_total", "User and system time of the agent, whole seconds."})
        .with()
        ->set_total(static_cast<std::uint64_t>(cpu));
    metrics.gauge({"process_resident_memory_bytes", "Resident memory of the agent."}).with()->set(resident_bytes());
    metrics.gauge({"process_open_fds", "Open file descriptors of the agent."}).with()->set(open_descriptors());
}

}  // namespace nett
